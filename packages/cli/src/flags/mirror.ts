import { type Command, Option } from "commander";
import type { TransferFlags } from "./copy.ts";
import { type OutputFlags, withOutput } from "./output.ts";
import { type ProgressFlags, withProgress } from "./progress.ts";
import { type QueryFlags, SELECTION, withConditions } from "./query.ts";
import { type StoreFlags, withStores } from "./stores.ts";
import { collect, duration, wholeFrom } from "./values.ts";

/** Flags of `mirror`. */
export type MirrorFlags = Pick<QueryFlags, "where" | "fields" | "native"> &
  StoreFlags &
  ProgressFlags &
  OutputFlags &
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
  return withOutput(withProgress(withStores(withMirror(withConditions(command)))));
}

function withMirror(command: Command): Command {
  return (
    command
      .addOption(
        new Option(
          "--target-where <condition>",
          "records of the target that are meant, or all (default: those that meet the same conditions)",
        )
          .argParser(collect)
          .helpGroup(SELECTION),
      )
      .addOption(
        new Option("--deletes <what>", "remove what only the target has, or keep it; the first mirror must be told")
          .choices(["remove", "keep"])
          .helpGroup(MIRROR),
      )
      .addOption(
        new Option(
          "--max-deletes <n>",
          "deletes borne: none, all, a number or a share such as 5% (default: 10%, at least 100)",
        ).helpGroup(MIRROR),
      )
      .addOption(
        new Option("--allow-empty-source", "empty the target where the source holds nothing").helpGroup(MIRROR),
      )
      // Who knows these from `copy` is told that they are still to come.
      .addOption(new Option("--distributed").hideHelp())
      .addOption(new Option("--partitions <n>").argParser(wholeFrom(1)).hideHelp())
      .addOption(new Option("--redis <url>").hideHelp())
      .addOption(
        new Option("--transform <file>", "a module whose default export makes of each record what goes over").helpGroup(
          MIRROR,
        ),
      )
      .addOption(
        new Option("--batch-size <n>", "records in a batch (default: 500)").argParser(wholeFrom(1)).helpGroup(MIRROR),
      )
      .addOption(
        new Option("--max-retries <n>", "how often a refusal for the moment is tried again (default: 3)")
          .argParser(wholeFrom(0))
          .helpGroup(MIRROR),
      )
      .addOption(
        new Option("--transfer-timeout <time>", "stop after this time, such as 30s or 10m (default: never)")
          .argParser(duration)
          .helpGroup(MIRROR),
      )
      .addOption(
        new Option("--reconnect-timeout <time>", "how long a store that went away is waited for (default: 60s)")
          .argParser(duration)
          .helpGroup(MIRROR),
      )
      .addOption(
        new Option("--dry-run", "compare, show what would be written and deleted; change nothing").helpGroup(SAFETY),
      )
      .addOption(new Option("--verify", "compare both sides afterwards").helpGroup(SAFETY))
      .addOption(
        new Option("--resume", "make good what an interrupted run may have left; both sides are read again").helpGroup(
          SAFETY,
        ),
      )
      .addOption(
        new Option(
          "--transfer-id <id>",
          "name of the mirror for --resume (default: made of what is mirrored)",
        ).helpGroup(SAFETY),
      )
      .addOption(
        new Option(
          "--state-dir <folder>",
          "where checkpoints and the ids of failed records are kept (default: .omni-p2p)",
        ).helpGroup(SAFETY),
      )
      .addOption(
        new Option(
          "--dead-letter <place>",
          "file or endpoint for the ids that fail (default: a file in the state folder)",
        ).helpGroup(SAFETY),
      )
      .addOption(new Option("--no-dead-letter", "let the ids that fail go").helpGroup(SAFETY))
      .addOption(
        new Option(
          "--dead-letter-overwrite",
          "let earlier letters in that file go, rather than move them to a numbered name",
        ).helpGroup(SAFETY),
      )
      .addOption(
        new Option(
          "--max-failures <n>",
          "failures borne before it stops: none, all, a number or a share such as 1%",
        ).helpGroup(SAFETY),
      )
  );
}
