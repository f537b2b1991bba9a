import { dateOfText, hasPlainYear, isoText } from "@omni/p2p-core/starter";

/** How the text and numbers of a date field are to be read and written. */
export interface DateFormat {
  /** Numbers are milliseconds since 1970. */
  readonly milliseconds: boolean;
  /** Numbers are seconds since 1970. */
  readonly seconds: boolean;
  /** A date with a time is taken. */
  readonly times: boolean;
  /** A date without a time is taken. */
  readonly days: boolean;
}

const WITH_TIME = new Set([
  "strict_date_optional_time",
  "date_optional_time",
  "strict_date_time",
  "date_time",
  "iso8601",
]);
const OPTIONAL_TIME = new Set(["strict_date_optional_time", "date_optional_time", "iso8601"]);
const DAYS = new Set(["strict_date", "date", "yyyy-MM-dd", "uuuu-MM-dd", "strict_year_month_day", "year_month_day"]);

/** The format of a field of our own, which is Elasticsearch's default as well. */
export const DEFAULT_FORMAT: DateFormat = { milliseconds: true, seconds: false, times: true, days: true };

/** What a mapping's `format` means. What only the server understands is left out, and such text stays text. */
export function parseFormat(format: unknown): DateFormat {
  if (typeof format !== "string") return DEFAULT_FORMAT;
  const names = format.split("||").map((name) => name.trim());
  return {
    milliseconds: names.includes("epoch_millis"),
    seconds: !names.includes("epoch_millis") && names.includes("epoch_second"),
    times: names.some((name) => WITH_TIME.has(name) || name === "strict_date_optional_time_nanos"),
    days: names.some((name) => OPTIONAL_TIME.has(name) || DAYS.has(name)),
  };
}

// Milliseconds at most: finer times cannot be held by a Date, and stay the text they are.
const DATE_TEXT = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d([.,]\d{1,3}0*)?)?(Z|[+-]\d\d:?\d\d)?)?$/;

/** Whether a text could be taken for a date by one who does not know better. */
export function looksLikeDate(text: string): boolean {
  return text.length >= 10 && text.length <= 35 && DATE_TEXT.test(text);
}

/** The date that a text of a date field means, or `undefined` when it is better left as text. */
export function readDateText(text: string, format: DateFormat): Date | undefined {
  // The form that JavaScript writes itself is by far the most frequent, and is read without a second look.
  if (text.length === 24 && text[10] === "T" && text[4] === "-" && text.endsWith("Z") && format.times) {
    return dateOfText(text);
  }
  const match = looksLikeDate(text) ? DATE_TEXT.exec(text) : null;
  if (match === null || !(match[1] === undefined ? format.days : format.times)) return undefined;
  // A time without a zone is UTC in Elasticsearch, and local in JavaScript.
  const zoned = match[1] === undefined || match[4] !== undefined ? text : `${text}Z`;
  // A day that does not exist, as ignore_malformed lets stand, is not moved to one that does.
  return dateOfText(zoned.replace(",", "."));
}

/** The date that a number of a date field means. */
export function readDateNumber(value: number, format: DateFormat): Date | undefined {
  const time = format.milliseconds ? value : format.seconds ? value * 1000 : Number.NaN;
  const date = new Date(time);
  return Number.isInteger(time) && !Number.isNaN(date.getTime()) ? date : undefined;
}

const DAY_MS = 86_400_000;

/** What stands for a date in the source of a document whose field has this format. */
export function writeDate(date: Date, format: DateFormat): string | number {
  const time = date.getTime();
  if (format.times && hasPlainYear(time)) return isoText(date);
  if (format.milliseconds) return time;
  if (format.seconds && time % 1000 === 0) return time / 1000;
  const text = date.toISOString();
  return format.days && time % DAY_MS === 0 && hasPlainYear(time) ? text.slice(0, 10) : text;
}
