import { type Command, Option } from "commander";
import type { TransferFlags } from "./copy.ts";
import { type OutputFlags, withOutput } from "./output.ts";
import { type ProgressFlags, withProgress } from "./progress.ts";
import { type QueryFlags, SELECTION, withConditions } from "./query.ts";
import { type StoreFlags, withStores } from "./stores.ts";
import { collect, duration, wholeFrom } from "./values.ts";

/** Flags of `follow`. */
export type FollowFlags = Pick<QueryFlags, "where" | "fields" | "native"> &
  StoreFlags &
  ProgressFlags &
  OutputFlags &
  Pick<
    TransferFlags,
    | "transform"
    | "maxRetries"
    | "reconnectTimeout"
    | "transferId"
    | "stateDir"
    | "deadLetter"
    | "deadLetterOverwrite"
    | "maxFailures"
  > & {
    readonly batchSize?: number;
    readonly deletes?: "remove" | "keep";
    readonly maxDeletes?: string;
    readonly allowEmptySource?: boolean;
    readonly targetWhere?: readonly string[];
    /** In ms. */
    readonly every?: number;
    /** In ms. */
    readonly reconcileEvery?: number;
    /** False where it is to begin anew. */
    readonly resume?: boolean;
  };

const FOLLOWING = "How it follows:";
const SAFETY = "Safety:";

export function withFollowFlags(command: Command): Command {
  return withOutput(withProgress(withStores(withFollowing(withConditions(command)))));
}

function withFollowing(command: Command): Command {
  const add = (group: string, ...options: readonly Option[]) => {
    for (const option of options) command.addOption(option.helpGroup(group));
  };
  add(
    SELECTION,
    new Option(
      "--target-where <condition>",
      "records of the target that are meant, or all (default: those that meet the same conditions)",
    ).argParser(collect),
  );
  add(
    FOLLOWING,
    new Option("--deletes <what>", "remove what leaves the source, or keep it (default: remove)").choices([
      "remove",
      "keep",
    ]),
    new Option("--every <time>", "mirror every so often, for a source without a feed of changes").argParser(duration),
    new Option("--reconcile-every <time>", "mirror every so often beside the feed (default: never)").argParser(
      duration,
    ),
    new Option("--transform <file>", "a module whose default export makes of each record what goes over"),
    new Option("--batch-size <n>", "records in a batch (default: 500)").argParser(wholeFrom(1)),
    new Option("--max-retries <n>", "how often a refusal for the moment is tried again (default: 3)").argParser(
      wholeFrom(0),
    ),
    new Option("--reconnect-timeout <time>", "how long a store that went away is waited for (default: 60s)").argParser(
      duration,
    ),
  );
  add(
    SAFETY,
    new Option(
      "--max-deletes <n>",
      "deletes borne within a minute: none, all, a number or a share such as 5% (default: 10%, at least 100)",
    ),
    new Option("--allow-empty-source", "let a mirror empty the target where the source holds nothing"),
    new Option("--transfer-id <id>", "name of the follow (default: made of what is followed)"),
    new Option("--no-resume", "begin anew, and not from the checkpoint of an earlier run"),
    new Option(
      "--state-dir <folder>",
      "where the checkpoint and the ids of failed records are kept (default: .omni-p2p)",
    ),
    new Option("--dead-letter <place>", "file or endpoint for the ids that fail (default: a file in the state folder)"),
    new Option("--no-dead-letter", "let the ids that fail go"),
    new Option(
      "--dead-letter-overwrite",
      "let earlier letters in that file go, rather than move them to a numbered name",
    ),
    new Option("--max-failures <n>", "failures borne before it stops: none, all, a number or a share such as 1%"),
  );
  return command;
}
