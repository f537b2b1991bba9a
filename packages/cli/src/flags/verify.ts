import type { Command } from "commander";
import { type OutputFlags, withOutput } from "./output.ts";
import { type ProgressFlags, withProgress } from "./progress.ts";
import { type QueryFlags, withQuery } from "./query.ts";
import { type StoreFlags, withStores } from "./stores.ts";
import { wholeFrom } from "./values.ts";

/** Flags of `verify`. */
export type VerifyFlags = QueryFlags &
  StoreFlags &
  ProgressFlags &
  OutputFlags & {
    readonly transform?: string;
    readonly batchSize?: number;
    readonly maxDifferences?: number;
    readonly ignoreExtra?: boolean;
  };

export function withVerifyFlags(command: Command): Command {
  return withOutput(withProgress(withStores(withQuery(command))))
    .option("--transform <file>", "compare what this module makes of the source's records")
    .option("--batch-size <n>", "records read at a time (default: 1000)", wholeFrom(1))
    .option("--max-differences <n>", "differences listed; all are counted (default: 20)", wholeFrom(0))
    .option("--ignore-extra", "what only the target holds is counted, and is no difference");
}
