/** Points in time as text of ISO 8601 and SQL, to the nanosecond; text without a zone is UTC. */

/** A point in time. */
interface Instant {
  /** Since 1970, rounded down. */
  readonly ms: number;
  /** What is beyond, from 0 to 999,999. */
  readonly nanoseconds: number;
}

const TEXT =
  /^(\d{4}|[+-]\d{6})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?( ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?))?)?$/i;

const MINUTE = 60_000;

/** The furthest that a `Date` reaches, in ms. */
const MOST_MS = 8.64e15;

/**
 * The point in time of a text such as `2024-01-31`, `2024-01-31 08:15:00` or `2024-01-31T08:15:00.123456+02:00`. A day alone is its
 * midnight, and what names no zone is UTC. `undefined` for any other text, and for a day, an hour, a second or an offset that
 * does not exist: neither 30 February nor 24:00 nor a leap second is another time.
 */
export function instantOf(text: string): Instant | undefined {
  const parts = TEXT.exec(text);
  if (parts === null || parts[1] === "-000000") return undefined;
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map((at) => Number(parts[at] ?? 0)) as Six;
  if (hour > 23 || minute > 59 || second > 59 || month < 1 || month > 12) return undefined;
  const offset = offsetOf(parts[8]);
  if (offset === undefined) return undefined;
  const fraction = (parts[7] ?? "").padEnd(9, "0");
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  date.setUTCHours(hour, minute, second, Number(fraction.slice(0, 3)));
  const ms = date.getTime() - offset * MINUTE;
  return Math.abs(ms) <= MOST_MS ? { ms, nanoseconds: Number(fraction.slice(3)) } : undefined;
}

type Six = [number, number, number, number, number, number];

/** In minutes. */
function offsetOf(zone: string | undefined): number | undefined {
  const text = zone?.trim().toUpperCase();
  if (text === undefined || text === "Z" || text === "UTC") return 0;
  const digits = text.slice(1).replace(":", "").padEnd(4, "0");
  const [hours, minutes] = [Number(digits.slice(0, 2)), Number(digits.slice(2))];
  if (hours > 18 || minutes > 59) return undefined;
  return (text.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}
