import type { Command } from "commander";
import { type OutputFlags, withOutput } from "./output.ts";
import { type ProgressFlags, withProgress } from "./progress.ts";
import { collect } from "./values.ts";

/** Flags of `run`. */
export type RunFlags = ProgressFlags &
  OutputFlags & {
    readonly only?: readonly string[];
    readonly resume?: boolean;
    readonly dryRun?: boolean;
    readonly verify?: boolean;
    readonly keepGoing?: boolean;
    readonly stateDir?: string;
  };

export function withRunFlags(command: Command): Command {
  return withOutput(
    withProgress(
      command
        .option("--only <name>", "only this transfer of the file; repeat it for more", collect)
        .option("--resume", "go on where an interrupted run stopped")
        .option("--dry-run", "show what the records would become; write nothing")
        .option("--verify", "compare both sides after each transfer")
        .option("--keep-going", "go on with the next transfer when one fails")
        .option("--state-dir <folder>", "where checkpoints and failed records are kept (default: .omni-p2p)"),
    ),
  );
}
