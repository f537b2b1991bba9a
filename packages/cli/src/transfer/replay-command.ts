import type { ReplayPhase } from "../flags/replay.ts";
import { programName, shellQuote } from "./resume-command.ts";

/** What to type to send the failed records of one phase once more, given their file. */
export type ReplayCommand = (file: string, phase: ReplayPhase) => string;

/**
 * @param target the target as it can be typed, quoted and without its secrets.
 * @param transform the module of the transform; `undefined` for one that is in no file of its own.
 */
export function replayCommandFor(target: string, transform: string | undefined): ReplayCommand {
  const again = `--phase transform --transform ${transform === undefined ? "<file>" : shellQuote(transform)}`;
  return (file, phase) =>
    [programName(), "replay", shellQuote(file), target, ...(phase === "transform" ? [again] : [])].join(" ");
}
