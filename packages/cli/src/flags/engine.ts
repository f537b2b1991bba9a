import { type Command, Option } from "commander";

/** Flags that say where the engine for many machines is. */
export interface EngineFlags {
  readonly redis?: string;
}

/** The heading of these flags in the help. */
export const MACHINES = "Many machines:";

export function withEngine(command: Command): Command {
  return command.addOption(
    new Option(
      "--redis <url>",
      "Redis of the engine for many machines (default: $P2P_ENGINE_REDIS, or redis://localhost:6379)",
    ).helpGroup(MACHINES),
  );
}
