import type { Command } from "commander";
import { type OutputFlags, withOutput } from "./output.ts";
import { type QueryFlags, withQuery } from "./query.ts";
import { type StoreFlags, withStores } from "./stores.ts";

/** Flags of `count`. */
export type CountFlags = QueryFlags & StoreFlags & OutputFlags;

export function withCountFlags(command: Command): Command {
  return withOutput(withStores(withQuery(command)));
}
