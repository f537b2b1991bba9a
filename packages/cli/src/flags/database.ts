import { type Command, Option } from "commander";
import { addOptions } from "./shared-options.ts";
import { collect, collectList, wholeFrom } from "./values.ts";

/** Flags that mean many collections of a database rather than one. */
export interface DatabaseFlags {
  readonly all?: boolean;
  readonly tables?: readonly string[];
  readonly exclude?: readonly string[];
  readonly rename?: readonly string[];
  readonly jobs?: number;
}

const DATABASE = "A whole database:";

export function withDatabase(command: Command): Command {
  return addOptions(
    command,
    DATABASE,
    new Option("--all", "every table, collection, index or prefix of keys; the endpoints name databases alone"),
    new Option("--tables <patterns>", "those whose names fit, such as 'a*,b'; a view must be named").argParser(
      collectList,
    ),
    new Option("--exclude <patterns>", "all but those").argParser(collectList),
    new Option("--rename <rule>", "names in the target, such as 'public.(.*)=$1'; repeat it for more").argParser(
      collect,
    ),
    new Option("--jobs <n>", "how many at a time (default: 4; a follow: all)").argParser(wholeFrom(1)),
  );
}

/** Whether a command is about a database. */
export function isOfDatabase({ all, tables, exclude }: DatabaseFlags): boolean {
  return all !== undefined || tables !== undefined || exclude !== undefined;
}
