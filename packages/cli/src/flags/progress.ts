import { type Command, Option } from "commander";
import { OUTPUT } from "./output.ts";
import { duration } from "./values.ts";

/** Flags that say how progress is told. */
export interface ProgressFlags {
  /** In ms. */
  readonly progressInterval?: number;
}

export function withProgress(command: Command): Command {
  return command.addOption(
    new Option("--progress-interval <time>", "how often progress is told (default: 250ms live, 1s JSON, 5s plain)")
      .argParser(duration)
      .helpGroup(OUTPUT),
  );
}
