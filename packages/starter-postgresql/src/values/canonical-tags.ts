/** Tags whose text the server gives back letter by letter: those that tables of ours hold in columns of the tags' own types. */
import { dateOfIso, type TaggedValue } from "@omni/p2p-core/starter";
import { STORE } from "../types.ts";
import { exactNumber } from "./numeric.ts";
import { serverTextOfTag } from "./timestamps.ts";

/** By the name of a tag's type: how a column of it is declared, and whether a text is the one that the server writes. */
const TYPES: Readonly<Record<string, { readonly declared: string; readonly isCanonical: (text: string) => boolean }>> =
  {
    numeric: {
      declared: "numeric",
      isCanonical: (text) =>
        /^-?(?:0|[1-9]\d{0,999})\.\d{1,999}$/.test(text) &&
        exactNumber(text, false) === undefined &&
        !/^-0\.0+$/.test(text),
    },
    date: { declared: "date", isCanonical: isDate },
    time: { declared: "time", isCanonical: (text) => TIME.test(text) || text === "24:00:00" },
    timestamp: { declared: "timestamp", isCanonical: isFineTimestamp },
    timestamptz: { declared: "timestamp with time zone", isCanonical: isFineTimestamp },
    interval: { declared: "interval", isCanonical: isInterval },
    inet: { declared: "inet", isCanonical: (text) => isAddress(text) },
    macaddr: { declared: "macaddr", isCanonical: (text) => /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(text) },
    int4range: { declared: "int4range", isCanonical: (text) => isRange(text, 2n ** 31n) },
    int8range: { declared: "int8range", isCanonical: (text) => isRange(text, 2n ** 63n) },
  };

/** How a column for such a tag is declared; `undefined` where its text might come back as another one. */
export function declaredForTag(tag: TaggedValue): string | undefined {
  const name = nameOf(tag);
  return name !== undefined && TYPES[name]!.isCanonical(tag.value as string) ? TYPES[name]!.declared : undefined;
}

/** What a column of a type (as `pg_type.typname` has it) takes for a tag; `undefined` where it would not come back. */
export function canonicalCell(type: string, tag: TaggedValue): string | undefined {
  if (nameOf(tag) !== type || declaredForTag(tag) === undefined) return undefined;
  return type.startsWith("timestamp") ? serverTextOfTag(tag.value as string) : (tag.value as string);
}

function nameOf({ type, value }: TaggedValue): string | undefined {
  const name = type.startsWith(`${STORE}:`) ? type.slice(STORE.length + 1) : "";
  return typeof value === "string" && Object.hasOwn(TYPES, name) ? name : undefined;
}

const TIME = /^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{0,5}[1-9])?$/;

function isDate(text: string): boolean {
  if (text === "infinity" || text === "-infinity") return true;
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  if (parts === null || parts[1] === "0000") return false;
  const time = Date.parse(`${text}T00:00:00.000Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

/** A time with microseconds, which no `Date` can say. */
function isFineTimestamp(text: string): boolean {
  if (text === "infinity" || text === "-infinity") return true;
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})\d{0,2}[1-9]Z$/.exec(text);
  return parts !== null && !text.startsWith("0000") && dateOfIso(`${parts[1]!}Z`) !== undefined;
}

const INTERVAL =
  /^P(?:(-?\d{1,6})Y)?(?:(-?\d{1,2})M)?(?:(-?\d{1,7})D)?(?:T(?:(-?\d{1,7})H)?(?:(-?\d{1,2})M)?(?:(-?\d{1,2}(?:\.\d{0,5}[1-9])?)S)?)?$/;

/** An interval as `IntervalStyle` iso_8601 writes it: no part is zero, and parts that carry into each other have one sign. */
function isInterval(text: string): boolean {
  if (text === "PT0S") return true;
  const parts = INTERVAL.exec(text)?.slice(1);
  if (parts === undefined || /[PT]$/.test(text)) return false;
  if (parts.some((part) => part !== undefined && (Number(part) === 0 || /^-?0\d/.test(part)))) return false;
  const [years = 0, months = 0, , hours = 0, minutes = 0, seconds = 0] = parts.map((part) =>
    part === undefined ? undefined : Number(part),
  );
  const oneSign = (...numbers: number[]) => numbers.every((n) => n >= 0) || numbers.every((n) => n <= 0);
  return (
    Math.abs(months) < 12 &&
    Math.abs(minutes) < 60 &&
    Math.abs(seconds) < 60 &&
    oneSign(years, months) &&
    oneSign(hours, minutes, seconds)
  );
}

function isAddress(text: string): boolean {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d|[12]\d|3[01]))?$/.exec(text);
  return parts?.slice(1, 5).every((part) => Number(part) < 256 && String(Number(part)) === part) ?? false;
}

function isRange(text: string, limit: bigint): boolean {
  if (text === "empty") return true;
  const bounds = /^\[(-?(?:0|[1-9]\d{0,18})),(-?(?:0|[1-9]\d{0,18}))\)$/.exec(text);
  if (bounds === null || bounds.includes("-0")) return false;
  const [lower, upper] = [BigInt(bounds[1]!), BigInt(bounds[2]!)];
  return lower >= -limit && upper < limit && lower < upper;
}
