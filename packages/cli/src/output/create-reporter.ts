import { JsonReporter } from "./json-reporter.ts";
import type { Output } from "./output.ts";
import { PlainReporter } from "./plain-reporter.ts";
import type { Reporter } from "./reporter.ts";

/** Says nothing. */
const SILENT: Reporter = {
  interval: 60_000,
  start() {},
  progress() {},
  verifying() {},
  mirroring() {},
  following() {},
  followed() {},
  database() {},
  stop() {},
};

/** Whether a live line can be drawn; a terminal without a size, as some tools make them, shows nothing of it. */
function isTerminal(): boolean {
  const { isTTY, rows, columns } = process.stderr;
  return isTTY === true && rows > 0 && columns > 0 && process.env.TERM !== "dumb";
}

/**
 * JSON where that was asked for, a live line on a terminal, plain lines anywhere else.
 *
 * @param alone whether no other one tells of something at the same time: two live lines would draw over each other.
 */
export async function createReporter(out: Output, interval: number | undefined, alone = true): Promise<Reporter> {
  if (out.json) return new JsonReporter(out, interval);
  if (out.quiet) return SILENT;
  if (!alone || !isTerminal()) return new PlainReporter(out, interval);
  const { LiveReporter } = await import("./live-reporter.ts");
  return new LiveReporter(out, interval);
}
