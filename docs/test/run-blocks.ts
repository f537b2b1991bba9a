// Runs blocks of code one after the other in this process, each in a folder of its own, and prints what became of them
// as JSON. Started by code-blocks.test.ts, which writes the list.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "node:util";
import type { DefaultP2PConnectionManager } from "@omni/p2p-core";

/** A block that is to be run. */
export interface RunnableBlock {
  readonly name: string;
  /** The module that holds the code. */
  readonly module: string;
  /** The module with what the code is given. */
  readonly given?: string;
  /** Without the knowledge base. */
  readonly fresh: boolean;
}

/** What a block printed, or why it ended. */
export interface RunOutcome {
  readonly name: string;
  readonly output: string;
  readonly error?: string;
}

const [, , listFile, outcomeFile] = process.argv;
const { blocks, knowledge } = JSON.parse(readFileSync(listFile!, "utf8")) as {
  readonly blocks: readonly RunnableBlock[];
  readonly knowledge: string;
};
const outcomes: RunOutcome[] = [];
for (const block of blocks) outcomes.push(await run(block));
writeFileSync(outcomeFile!, JSON.stringify(outcomes));

async function run({ name, module, given, fresh }: RunnableBlock): Promise<RunOutcome> {
  const folder = mkdtempSync(join(tmpdir(), "omni-p2p-docs-"));
  const back = process.cwd();
  const lines: string[] = [];
  const { log, warn, error } = console;
  console.log = (...values: unknown[]) => void lines.push(format(...values));
  console.warn = console.log;
  console.error = console.log;
  process.chdir(folder);
  try {
    if (!fresh) {
      mkdirSync("data");
      copyFileSync(knowledge, join("data", "knowledge.db"));
    }
    await import(pathToFileURL(module).href);
    return { name, output: lines.join("\n") };
  } catch (thrown) {
    return { name, output: lines.join("\n"), error: format(thrown) };
  } finally {
    if (given !== undefined) {
      const { manager } = (await import(given)) as { readonly manager: DefaultP2PConnectionManager };
      await manager.close();
    }
    Object.assign(console, { log, warn, error });
    process.chdir(back);
    rmSync(folder, { recursive: true, force: true });
  }
}
