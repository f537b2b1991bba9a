import { type Command, Option } from "commander";
import type { TransferFlags } from "./copy.ts";
import { type OutputFlags, withOutput } from "./output.ts";
import { type ProgressFlags, withProgress } from "./progress.ts";
import { type QueryFlags, SELECTION, withQuery } from "./query.ts";
import { addOptions, sharedOptions } from "./shared-options.ts";
import { type StoreFlags, withStores } from "./stores.ts";
import { duration, wholeFrom } from "./values.ts";

/** Flags of `verify`. */
export type VerifyFlags = QueryFlags &
  StoreFlags &
  ProgressFlags &
  OutputFlags &
  Pick<TransferFlags, "transform" | "as" | "recognise" | "misfits"> & {
    readonly batchSize?: number;
    readonly maxDifferences?: number;
    readonly ignoreExtra?: boolean;
    readonly threads?: "auto" | "never";
    readonly live?: boolean;
    readonly certificate?: string;
    readonly against?: string;
    readonly settle?: number;
    readonly targetWhere?: readonly string[];
  };

export function withVerifyFlags(command: Command): Command {
  return withOutput(withProgress(withStores(withSelection(command))))
    .addOption(sharedOptions.as())
    .addOption(sharedOptions.recognise())
    .addOption(sharedOptions.misfits())
    .option("--transform <file>", "compare what this module makes of the source's records")
    .option("--batch-size <n>", "records read at a time (default: 1000)", wholeFrom(1))
    .option("--max-differences <n>", "differences listed; all are counted (default: 20)", wholeFrom(0))
    .addOption(
      new Option("--threads <when>", "whether the target may be read in a thread of its own (default: auto)").choices([
        "auto",
        "never",
      ]),
    )
    .option("--live", "both sides may change meanwhile: tell what stays different for the time of --settle")
    .option("--settle <time>", "with --live, how long a change takes to the target (default: 10s)", duration)
    .option("--certificate <file>", "where both are equal, keep digests of what they hold, for --against")
    .option("--against <file>", "hold one store against such a file: what differs from what it held then?")
    .option("--ignore-extra", "what only the target holds is counted, and is no difference");
}

function withSelection(command: Command): Command {
  return addOptions(withQuery(command), SELECTION, sharedOptions.targetWhere());
}
