import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../usage-error.ts";

/** What the engine package exports. */
export type Engine = typeof import("@omni/p2p-engine-bullmq");

const NAME = "@omni/p2p-engine-bullmq";

/**
 * Loads the engine, which is installed only where transfers are spread over machines: from the user's project, or from
 * wherever this command was installed.
 *
 * @throws UsageError that says what to install.
 */
export async function loadEngine(): Promise<Engine> {
  for (const from of [pathToFileURL(join(process.cwd(), "package.json")).href, import.meta.url]) {
    let file: string;
    try {
      file = createRequire(from).resolve(NAME);
    } catch {
      continue;
    }
    return (await import(pathToFileURL(file).href)) as Engine;
  }
  throw new UsageError(`This needs the package ${NAME}, which is not installed`, `npm install ${NAME}`);
}
