/** Texts of dates and times: whether a column keeps all that they say. The server drops much of them without a word. */

/** Words that mean another time each time. */
const MOVING = /now|today|tomorrow|yesterday/i;
const DAY = /\d-\d\d?-\d/;
/** A time of day, and what stands behind it. */
const CLOCK = /(\d\d?):(\d\d)(?::(\d\d(?:\.\d*)?))?(.*)$/s;
const NO_ZONE = /^\s*(?:[AP]M)?\s*(?:BC|AD)?\s*$/i;
const UTC_OR_NO_ZONE = /^\s*(?:[AP]M)?\s*(?:Z|UTC|[+-]00(?::?00){0,2})?\s*(?:BC|AD)?\s*$/i;

/** How many digits of the second a column keeps, by its type modifier. */
function precisionOf(name: string, typmod: number): number {
  if (typmod < 0) return 6;
  const precision = name === "interval" ? typmod & 0xffff : typmod;
  return precision === 0xffff ? 6 : precision;
}

/** Whether a column of a type of dates and times keeps all that a text says that is not one of another form. */
export function keepsTime(name: string, typmod: number, text: string): boolean {
  if (name !== "interval" && MOVING.test(text)) return false;
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "";
  if (/[1-9]/.test(fraction.slice(precisionOf(name, typmod)))) return false;
  const [, hour, minute, second, behind = ""] = CLOCK.exec(text) ?? [];
  // Runs of spaces, of which these patterns would try every division, as one.
  const zone = behind.replace(/\s+/g, " ");
  switch (name) {
    case "date":
      return Number(hour ?? 0) + Number(minute ?? 0) + Number(second ?? 0) === 0 && UTC_OR_NO_ZONE.test(zone);
    case "time":
      return !DAY.test(text) && NO_ZONE.test(zone);
    case "timetz":
      return !DAY.test(text);
    case "timestamp":
      return UTC_OR_NO_ZONE.test(zone);
    case "timestamptz":
      return true;
    default:
      return keepsInterval(typmod, text);
  }
}

/** The parts of an interval as ISO 8601 has them, from the largest to the smallest, and their bits in a type modifier. */
const PARTS = [
  [/\dY/, 2],
  [/^[^T]*\dM/, 1],
  [/\dD/, 3],
  [/\dH/, 10],
  [/^[^T]*T.*\dM/, 11],
  [/\dS/, 12],
] as const;

/** A column of `interval year to month` and its like drops the parts below its least one. */
function keepsInterval(typmod: number, text: string): boolean {
  const range = typmod < 0 ? 0x7fff : (typmod >> 16) & 0x7fff;
  if (range === 0x7fff) return true;
  const least = PARTS.findLastIndex(([, bit]) => (range & (1 << bit)) !== 0);
  const isIso = /^P[\dYMDTHS.+-]+$/.test(text);
  return isIso && (text === "PT0S" || PARTS.slice(least + 1).every(([part]) => !part.test(text)));
}
