import type { ConnectionConfigInput } from "@omni/p2p-core";
import type { ReplayPhase } from "../flags/replay.ts";
import { programName, shellQuote } from "./resume-command.ts";
import { conversionIn } from "./settings.ts";

/** What to type to send the failed records of one phase once more, given their file. */
export type ReplayCommand = (file: string, phase: ReplayPhase) => string;

/** Stands for the module of a transform that is in no file of its own. */
export const INLINE_TRANSFORM = "<file>";

/**
 * @param target the target as it can be typed, quoted and without its secrets.
 * @param transform the module of the transform, or {@link INLINE_TRANSFORM}; `undefined` where there is none.
 * @param config the settings, of which the conversion of types is needed once more.
 */
export function replayCommandFor(
  target: string,
  transform: string | undefined,
  config: ConnectionConfigInput = {},
): ReplayCommand {
  const conversion = conversionFlags(config);
  // What failed before the target was asked, with neither, had no transform that is known here.
  const module = transform ?? (conversion.length > 0 ? undefined : INLINE_TRANSFORM);
  const again = [
    "--phase transform",
    ...conversion,
    ...(module === undefined ? [] : [`--transform ${module === INLINE_TRANSFORM ? module : shellQuote(module)}`]),
  ].join(" ");
  return (file, phase) =>
    [programName(), "replay", shellQuote(file), target, ...(phase === "transform" ? [again] : [])].join(" ");
}

/** The flags that ask for the conversion of types in the settings. */
function conversionFlags(config: ConnectionConfigInput): string[] {
  const { as, recognise, misfits } = conversionIn(config);
  const types = Object.entries(as ?? {}).map(([field, type]) => `${field}=${type}`);
  return [
    ...(types.length > 0 ? [`--as ${shellQuote(types.join(","))}`] : []),
    ...(recognise ? ["--recognise"] : []),
    ...(misfits === "keep" ? ["--misfits keep"] : []),
  ];
}
