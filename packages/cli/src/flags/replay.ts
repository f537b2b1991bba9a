import { type Command, Option } from "commander";
import { type CopyFlags, withTransfer } from "./copy.ts";
import { withOutput } from "./output.ts";
import { withProgress } from "./progress.ts";
import { SELECTION, withQuery } from "./query.ts";
import { withStores } from "./stores.ts";

/** The phases whose dead letters can be sent once more: what the target refused, or what the transform failed on. */
const PHASES = ["write", "transform"] as const;
export type ReplayPhase = (typeof PHASES)[number];

/** Flags of `replay`. */
export type ReplayFlags = Omit<CopyFlags, "distributed" | "redis"> & { readonly phase?: ReplayPhase };

export function withReplayFlags(command: Command): Command {
  return withOutput(withProgress(withStores(withTransfer(withQuery(command))))).addOption(
    new Option("--phase <phase>", "records that the target refused, or that the transform failed on (default: write)")
      .choices(PHASES)
      .helpGroup(SELECTION),
  );
}
