import { type Command, Option } from "commander";
import type { TransferFlags } from "./copy.ts";
import { type DatabaseFlags, withDatabase } from "./database.ts";
import { type OutputFlags, withOutput } from "./output.ts";
import { type ProgressFlags, withProgress } from "./progress.ts";
import { type QueryFlags, SELECTION, withConditions } from "./query.ts";
import { addOptions, sharedOptions } from "./shared-options.ts";
import { type StoreFlags, withStores } from "./stores.ts";
import { wholeFrom } from "./values.ts";

/** Flags of `mirror`. */
export type MirrorFlags = Pick<QueryFlags, "where" | "fields" | "native"> &
  StoreFlags &
  ProgressFlags &
  OutputFlags &
  DatabaseFlags &
  Omit<TransferFlags, "mode" | "partitions" | "concurrency" | "sample" | "batchSize"> & {
    readonly batchSize?: number;
    readonly deletes?: "remove" | "keep";
    readonly maxDeletes?: string;
    readonly allowEmptySource?: boolean;
    readonly targetWhere?: readonly string[];
    readonly distributed?: boolean;
    readonly partitions?: number;
    readonly redis?: string;
  };

const MIRROR = "What becomes of the target:";
const SAFETY = "Safety:";

export function withMirrorFlags(command: Command): Command {
  return withOutput(withProgress(withStores(withMirror(withDatabase(withConditions(command))))));
}

function withMirror(command: Command): Command {
  addOptions(command, SELECTION, sharedOptions.targetWhere());
  addOptions(
    command,
    MIRROR,
    new Option(
      "--deletes <what>",
      "remove what only the target has, or keep it; the first mirror must be told",
    ).choices(["remove", "keep"]),
    new Option(
      "--max-deletes <n>",
      "deletes borne: none, all, a number or a share such as 5% (default: 10%, at least 100)",
    ),
    new Option("--allow-empty-source", "empty the target where the source holds nothing"),
  );
  // Who knows these from `copy` is told that they are still to come.
  command
    .addOption(new Option("--distributed").hideHelp())
    .addOption(new Option("--partitions <n>").argParser(wholeFrom(1)).hideHelp())
    .addOption(new Option("--redis <url>").hideHelp());
  addOptions(
    command,
    MIRROR,
    sharedOptions.as(),
    sharedOptions.recognise(),
    sharedOptions.misfits(),
    sharedOptions.transform(),
    sharedOptions.batchSize(),
    sharedOptions.rateLimit(),
    sharedOptions.maxRetries(),
    sharedOptions.transferTimeout(),
    sharedOptions.reconnectTimeout(),
  );
  return addOptions(
    command,
    SAFETY,
    new Option("--dry-run", "compare, show what would be written and deleted; change nothing"),
    sharedOptions.verify(),
    new Option("--resume", "make good what an interrupted run may have left; both sides are read again"),
    new Option("--transfer-id <id>", "name of the mirror for --resume (default: made of what is mirrored)"),
    new Option("--state-dir <folder>", "where checkpoints and the ids of failed records are kept (default: .omni-p2p)"),
    sharedOptions.deadLetterIds(),
    sharedOptions.noDeadLetterIds(),
    sharedOptions.deadLetterOverwrite(),
    sharedOptions.maxFailures(),
  );
}
