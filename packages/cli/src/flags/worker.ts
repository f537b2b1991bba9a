import type { Command } from "commander";
import { type EngineFlags, withEngine } from "./engine.ts";
import { type OutputFlags, withOutput } from "./output.ts";
import { collectNamed, duration, wholeFrom } from "./values.ts";

/** Flags of `worker`. */
export type WorkerFlags = EngineFlags &
  OutputFlags & {
    readonly endpoints?: string;
    /** Files of transforms by their names. */
    readonly transform?: ReadonlyMap<string, string>;
    readonly concurrency?: number;
    readonly name?: string;
    /** In ms. */
    readonly heartbeatTimeout?: number;
    /** In ms. */
    readonly progressTimeout?: number;
  };

export function withWorkerFlags(command: Command): Command {
  return withOutput(withEngine(command))
    .option("--endpoints <file>", "config file that names the endpoints (default: p2p.config.* here)")
    .option("--transform <name=file>", "a transform that copies may name; repeat it for more", collectNamed)
    .option("--concurrency <n>", "partitions run at a time (default: 1)", wholeFrom(1))
    .option("--name <name>", "how it is called in lists (default: host and process)")
    .option(
      "--heartbeat-timeout <time>",
      "kill a process that gives no sign of life for so long (default: 30s)",
      duration,
    )
    .option(
      "--progress-timeout <time>",
      "kill a process whose partition moves nothing for so long (default: 5m)",
      duration,
    );
}
