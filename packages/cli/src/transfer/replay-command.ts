import { programName, shellQuote } from "./resume-command.ts";

/** Dead letters that can be sent once more: what the target refused, or what the transform failed on. */
export type ReplayPhase = "write" | "transform";

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
