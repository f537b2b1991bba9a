import { type Command, Option } from "commander";
import { collect, collectTypes, duration, wholeFrom } from "./values.ts";

/** Adds options under a heading of the help, in this order. */
export function addOptions(command: Command, group: string, ...options: readonly Option[]): Command {
  for (const option of options) command.addOption(option.helpGroup(group));
  return command;
}

/** Options that several commands take in the same words, made anew for each. */
export const sharedOptions = {
  targetWhere: () =>
    new Option(
      "--target-where <condition>",
      "records of the target that are meant, or all (default: those that meet the same conditions)",
    ).argParser(collect),
  transform: () =>
    new Option("--transform <file>", "a module whose default export makes of each record what goes over"),
  as: () =>
    new Option(
      "--as <field=type,...>",
      "types that fields are to have, each exactly or not at all: date, timestamp, epoch-s, epoch-ms, number, integer, bigint, decimal, boolean, text, json, base64, hex",
    ).argParser(collectTypes),
  recognise: () =>
    new Option(
      "--recognise",
      "find in texts what was meant: dates of SQLite's CURRENT_TIMESTAMP, objects and lists of Python's json.dumps",
    ),
  misfits: () =>
    new Option(
      "--misfits <what>",
      "a record with a value that does not fit --as may fail, or keep it (default: fail)",
    ).choices(["fail", "keep"]),
  rateLimit: () =>
    new Option(
      "--rate-limit <rate>",
      "most in a second: records, bytes or both, such as 5000/s or 10MB/s (default: none)",
    ),
  batchSize: () => new Option("--batch-size <n>", "records in a batch (default: 500)").argParser(wholeFrom(1)),
  maxRetries: () =>
    new Option("--max-retries <n>", "how often a refusal for the moment is tried again (default: 3)").argParser(
      wholeFrom(0),
    ),
  transferTimeout: () =>
    new Option("--transfer-timeout <time>", "stop after this time, such as 30s or 10m (default: never)").argParser(
      duration,
    ),
  reconnectTimeout: () =>
    new Option("--reconnect-timeout <time>", "how long a store that went away is waited for (default: 60s)").argParser(
      duration,
    ),
  verify: () => new Option("--verify", "compare both sides afterwards"),
  deadLetterIds: () =>
    new Option("--dead-letter <place>", "file or endpoint for the ids that fail (default: a file in the state folder)"),
  noDeadLetterIds: () => new Option("--no-dead-letter", "let the ids that fail go"),
  deadLetterOverwrite: () =>
    new Option(
      "--dead-letter-overwrite",
      "let earlier letters in that file go, rather than move them to a numbered name",
    ),
  maxFailures: () =>
    new Option("--max-failures <n>", "failures borne before it stops: none, all, a number or a share such as 1%"),
};
