import type { Command } from "commander";
import { type CountFlags, withCountFlags } from "./count.ts";
import { wholeFrom } from "./values.ts";

/** Flags of `inspect`. */
export type InspectFlags = CountFlags & {
  readonly list?: boolean;
  readonly sample?: number;
  readonly show?: number;
};

export function withInspectFlags(command: Command): Command {
  return withCountFlags(command)
    .option("--list", "only the names of what a database holds, with kinds and estimated numbers of records")
    .option("--sample <n>", "records read to find out the fields (default: 100)", wholeFrom(1))
    .option("--show <n>", "records shown (default: 3)", wholeFrom(0));
}
