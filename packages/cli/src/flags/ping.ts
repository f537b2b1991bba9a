import type { Command } from "commander";
import { type OutputFlags, withOutput } from "./output.ts";
import { type StoreFlags, withStores } from "./stores.ts";

/** Flags of `ping`. */
export type PingFlags = StoreFlags & OutputFlags;

export function withPingFlags(command: Command): Command {
  return withOutput(withStores(command));
}
