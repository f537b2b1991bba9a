import { type Command, Option } from "commander";
import { duration } from "./values.ts";

/** Flags that say how the stores are reached. */
export interface StoreFlags {
  readonly config?: string;
  /** In ms. */
  readonly connectionTimeout?: number;
}

const STORES = "Stores:";

export function withStores(command: Command): Command {
  return command
    .addOption(
      new Option("--config <file>", "file with named endpoints (default: p2p.config.* here)").helpGroup(STORES),
    )
    .addOption(
      new Option("--connection-timeout <time>", "time in which a store must answer (default: 5s)")
        .argParser(duration)
        .helpGroup(STORES),
    );
}
