import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Place } from "./places.ts";
import type { ShapeName } from "./shapes.ts";

/** A direction to be measured in a process of its own. */
export interface Job {
  readonly from: Place;
  readonly to: Place;
  readonly shape: ShapeName;
  /** The SQLite file with the records of the source, to fill a source in memory with. */
  readonly file: string;
}

/** More heap than Node takes by itself, for millions of records in memory. */
const MEMORY_HEAP = "--max-old-space-size=12288";

/** Runs `name.ts` of this folder in a fresh process, and resolves with what it reports. */
export async function inFreshProcess<Result, J extends Job>(
  name: "rounds" | "once",
  job: J,
  flags: readonly string[] = [],
): Promise<Result> {
  const heap = job.from.store === "memory" || job.to.store === "memory" ? [MEMORY_HEAP] : [];
  const child = fork(join(import.meta.dirname, `${name}.ts`), [JSON.stringify(job)], { execArgv: [...flags, ...heap] });
  let result: Result | undefined;
  child.on("message", (message) => {
    result = message as Result;
  });
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  if (code !== 0 || result === undefined) throw new Error(`the process that measures ended with ${code ?? signal}`);
  return result;
}

/** In such a process: the job. The process ends with the one that started it. */
export function thisJob<J extends Job>(): J {
  process.once("disconnect", () => process.exit());
  return JSON.parse(process.argv[2]!) as J;
}

/** In such a process: reports the result, and ends. */
export function report(result: unknown): void {
  process.send!(result, () => process.disconnect());
}
