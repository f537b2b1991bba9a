import { type Command, Option } from "commander";
import { collect, collectList, wholeFrom } from "./values.ts";

/** Flags that say which records are meant. */
export interface QueryFlags {
  readonly where?: readonly string[];
  readonly fields?: readonly string[];
  readonly orderBy?: readonly string[];
  readonly limit?: number;
  readonly offset?: number;
  readonly native?: string;
}

/** The heading of these flags in the help. */
export const SELECTION = "Which records:";

/** The flags by which records are chosen one by one. */
export function withConditions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--where <condition>",
        "only records that meet it, such as type=knowledge or age>=3; repeat it for more",
      )
        .argParser(collect)
        .helpGroup(SELECTION),
    )
    .addOption(
      new Option("--fields <names>", "only these fields, separated by commas; id always comes along")
        .argParser(collectList)
        .helpGroup(SELECTION),
    )
    .addOption(
      new Option(
        "--native <json>",
        'a query in the source\'s own language, such as \'{"sqlite":{"sql":"…"}}\'',
      ).helpGroup(SELECTION),
    );
}

/** All of them: also those by which a record is chosen for its place among the others. */
export function withQuery(command: Command): Command {
  return withConditions(command)
    .addOption(
      new Option("--order-by <fields>", "order, such as created:desc,title")
        .argParser(collectList)
        .helpGroup(SELECTION),
    )
    .addOption(new Option("--limit <n>", "most records to read").argParser(wholeFrom(0)).helpGroup(SELECTION))
    .addOption(new Option("--offset <n>", "records to pass over first").argParser(wholeFrom(0)).helpGroup(SELECTION));
}
