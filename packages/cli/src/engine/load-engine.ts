import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { distrustOf } from "@omni/p2p-core/engine";
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
  const file = resolveFrom(import.meta.url) ?? resolveFromProject();
  if (file !== undefined) return (await import(pathToFileURL(file).href)) as Engine;
  throw new UsageError(`This needs the package ${NAME}, which is not installed`, `npm install ${NAME}`);
}

function resolveFrom(place: string): string | undefined {
  try {
    return createRequire(place).resolve(NAME);
  } catch {
    return undefined;
  }
}

/** As with starters, nothing is run that another user may have laid into a folder above. */
function resolveFromProject(): string | undefined {
  const place = join(process.cwd(), "package.json");
  const modules = createRequire(place)
    .resolve.paths(NAME)
    ?.find((folder) => existsSync(join(folder, NAME)));
  const distrust = modules === undefined ? undefined : (distrustOf(modules) ?? distrustOf(join(modules, NAME)));
  if (distrust !== undefined) throw new UsageError(`The package ${NAME} is installed, and is not loaded: ${distrust}`);
  return resolveFrom(pathToFileURL(place).href);
}
