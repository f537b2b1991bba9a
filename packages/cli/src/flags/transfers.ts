import type { Command } from "commander";
import { type EngineFlags, withEngine } from "./engine.ts";
import { type OutputFlags, withOutput } from "./output.ts";
import { type ProgressFlags, withProgress } from "./progress.ts";

/** What `transfers` can do. */
export const TRANSFERS_ACTIONS = ["list", "watch", "pause", "resume", "cancel", "failed", "remove"] as const;
export type TransfersAction = (typeof TRANSFERS_ACTIONS)[number];

/** Flags of `transfers`. */
export type TransfersFlags = EngineFlags & ProgressFlags & OutputFlags;

export function withTransfersFlags(command: Command): Command {
  return withOutput(withProgress(withEngine(command)));
}
