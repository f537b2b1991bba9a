import { type Command, Option } from "commander";
import type { TransferFlags } from "./copy.ts";
import { type DatabaseFlags, withDatabase } from "./database.ts";
import { type OutputFlags, withOutput } from "./output.ts";
import { type ProgressFlags, withProgress } from "./progress.ts";
import { type QueryFlags, SELECTION, withConditions } from "./query.ts";
import { addOptions, sharedOptions } from "./shared-options.ts";
import { type StoreFlags, withStores } from "./stores.ts";
import { duration } from "./values.ts";

/** Flags of `follow`. */
export type FollowFlags = Pick<QueryFlags, "where" | "fields" | "native"> &
  StoreFlags &
  ProgressFlags &
  OutputFlags &
  DatabaseFlags &
  Pick<
    TransferFlags,
    | "transform"
    | "as"
    | "recognise"
    | "misfits"
    | "rateLimit"
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
    readonly lease?: "auto" | "target" | "state";
    /** False where it is to begin anew. */
    readonly resume?: boolean;
  };

const FOLLOWING = "How it follows:";
const SAFETY = "Safety:";

export function withFollowFlags(command: Command): Command {
  return withOutput(withProgress(withStores(withFollowing(withDatabase(withConditions(command))))));
}

function withFollowing(command: Command): Command {
  addOptions(command, SELECTION, sharedOptions.targetWhere());
  addOptions(
    command,
    FOLLOWING,
    new Option("--deletes <what>", "remove what leaves the source, or keep it (default: remove)").choices([
      "remove",
      "keep",
    ]),
    new Option("--every <time>", "mirror every so often, for a source without a feed of changes").argParser(duration),
    new Option("--reconcile-every <time>", "mirror every so often beside the feed (default: never)").argParser(
      duration,
    ),
    sharedOptions.as(),
    sharedOptions.recognise(),
    sharedOptions.misfits(),
    sharedOptions.transform(),
    sharedOptions.batchSize(),
    sharedOptions.rateLimit(),
    sharedOptions.maxRetries(),
    sharedOptions.reconnectTimeout(),
  );
  return addOptions(
    command,
    SAFETY,
    new Option(
      "--max-deletes <n>",
      "deletes borne within a minute: none, all, a number or a share such as 5% (default: 10%, at least 100)",
    ),
    new Option("--allow-empty-source", "let a mirror empty the target where the source holds nothing"),
    new Option(
      "--lease <where>",
      "what keeps a second follow of this id away: target, state or auto (default: auto)",
    ).choices(["auto", "target", "state"]),
    new Option("--transfer-id <id>", "name of the follow (default: made of what is followed)"),
    new Option("--no-resume", "begin anew, and not from the checkpoint of an earlier run"),
    new Option(
      "--state-dir <folder>",
      "where the checkpoint and the ids of failed records are kept (default: .omni-p2p)",
    ),
    sharedOptions.deadLetterIds(),
    sharedOptions.noDeadLetterIds(),
    sharedOptions.deadLetterOverwrite(),
    sharedOptions.maxFailures(),
  );
}
