import { type Command, Option } from "commander";
import { type DatabaseFlags, withDatabase } from "./database.ts";
import { type EngineFlags, MACHINES, withEngine } from "./engine.ts";
import { type OutputFlags, withOutput } from "./output.ts";
import { type ProgressFlags, withProgress } from "./progress.ts";
import { type QueryFlags, SELECTION, withQuery } from "./query.ts";
import { addOptions, sharedOptions } from "./shared-options.ts";
import { type StoreFlags, withStores } from "./stores.ts";
import { overlapFrom, wholeFrom, wholeOrAuto } from "./values.ts";

/** Flags that say how a transfer is run. */
export interface TransferFlags {
  readonly mode?: "upsert" | "insert" | "skip";
  readonly batchSize?: number | "auto";
  readonly concurrency?: number;
  readonly partitions?: number;
  readonly maxFailures?: string;
  readonly allowSameStore?: boolean;
  readonly maxRetries?: number;
  /** In ms. */
  readonly transferTimeout?: number;
  /** In ms. */
  readonly reconnectTimeout?: number;
  readonly transform?: string;
  readonly as?: ReadonlyMap<string, string>;
  readonly recognise?: boolean;
  readonly misfits?: "fail" | "keep";
  readonly rateLimit?: string;
  readonly since?: string;
  /** In ms, or units of the number. */
  readonly sinceOverlap?: number;
  readonly sinceNulls?: "note" | "fail";
  readonly transferId?: string;
  readonly resume?: boolean;
  readonly stateDir?: string;
  /** `false` with `--no-dead-letter`. */
  readonly deadLetter?: string | boolean;
  readonly deadLetterOverwrite?: boolean;
  readonly dryRun?: boolean;
  readonly sample?: number;
  readonly verify?: boolean;
}

/** Flags of `copy`. */
export type CopyFlags = QueryFlags &
  TransferFlags &
  StoreFlags &
  ProgressFlags &
  OutputFlags &
  EngineFlags &
  DatabaseFlags & { readonly distributed?: boolean };

export function withCopyFlags(command: Command): Command {
  return withOutput(
    withProgress(withStores(withDistribution(withTransfer(withNews(withDatabase(withQuery(command))))))),
  );
}

const TRANSFER = "How they go over:";
const SAFETY = "Safety:";

/** Reads what is new. */
function withNews(command: Command): Command {
  return addOptions(
    command,
    SELECTION,
    new Option(
      "--since <field>",
      "only what is new by this field, from the highest value of the last finished run on; deletes are not seen",
    ),
    new Option(
      "--since-overlap <time>",
      "how far before that value to begin: a time, or a number for numbers (default: 1m, and 0 for numbers)",
    ).argParser(overlapFrom),
    new Option(
      "--since-nulls <what>",
      "records without a value there are read by the first run alone: note says so, fail refuses (default: note)",
    ).choices(["note", "fail"]),
  );
}

/** What `copy` and `replay` have in common. */
export function withTransfer(command: Command): Command {
  addOptions(
    command,
    TRANSFER,
    new Option("--mode <mode>", "what becomes of a record whose id is there already (default: upsert)").choices([
      "upsert",
      "insert",
      "skip",
    ]),
    sharedOptions.as(),
    sharedOptions.recognise(),
    sharedOptions.misfits(),
    sharedOptions.transform(),
    new Option("--batch-size <n>", "records in a batch, or auto (default: 500)").argParser(wholeOrAuto),
    new Option("--concurrency <n>", "batches written at a time (default: 4)").argParser(wholeFrom(1)),
    new Option(
      "--partitions <n>",
      "parts of the query moved side by side (default: 1; 16 with --distributed)",
    ).argParser(wholeFrom(1)),
    sharedOptions.rateLimit(),
    sharedOptions.maxRetries(),
    sharedOptions.transferTimeout(),
    sharedOptions.reconnectTimeout(),
  );
  return addOptions(
    command,
    SAFETY,
    new Option("--dry-run", "read a sample, show what it would become and what would be lost; write nothing"),
    new Option("--sample <n>", "records that a dry run reads (default: 100)").argParser(wholeFrom(1)),
    sharedOptions.verify(),
    new Option("--allow-same-store", "move the records of a store onto itself, which is refused otherwise"),
    new Option("--resume", "go on where an interrupted run of the same command stopped"),
    new Option("--transfer-id <id>", "name of the transfer for --resume (default: made of what is copied)"),
    new Option("--state-dir <folder>", "where checkpoints and failed records are kept (default: .omni-p2p)"),
    new Option(
      "--dead-letter <place>",
      "file or endpoint for the records that fail (default: a file in the state folder)",
    ),
    new Option("--no-dead-letter", "let the records that fail go"),
    sharedOptions.deadLetterOverwrite(),
    sharedOptions.maxFailures(),
  );
}

/** Lets workers do the work. */
function withDistribution(command: Command): Command {
  return withEngine(
    command.addOption(
      new Option("--distributed", "let workers do it (omni-p2p worker); endpoints are names that they know").helpGroup(
        MACHINES,
      ),
    ),
  );
}
