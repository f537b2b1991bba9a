/** Timestamps: the server's text of points in time, and dates of JavaScript. */
import { dateOfIso } from "@omni/p2p-core/starter";

/** As the server writes one with `DateStyle` ISO, in UTC where it has a zone. */
const SERVER_TEXT = /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:\+00)?( BC)?$/;

/** The first and the last instant that the server can hold, in ms since 1970: 4714-11-24 BC, and the end of 294276. */
const FIRST_MS = -210_866_803_200_000;
/** The last one that a `Date` can hold is sooner. */
const LAST_MS = 8_640_000_000_000_000;

/** The date of the server's text, where milliseconds and a `Date` say it exactly; else `undefined` (also for `infinity`). */
export function dateOfServerText(text: string): Date | undefined {
  const iso = isoOfServerText(text, 3);
  return iso === undefined ? undefined : dateOfIso(iso);
}

/** The ISO 8601 text of the server's text, with as many digits of the second as it has, 3 at least; `undefined` for `infinity`. */
export function isoOfServerText(text: string, mostDigits = 6): string | undefined {
  const parts = SERVER_TEXT.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = "", bc] = parts as unknown as string[];
  const digits = fraction.padEnd(3, "0");
  if (digits.length > mostDigits) return undefined;
  const astronomical = bc === undefined ? Number(year) : 1 - Number(year);
  return `${isoYear(astronomical)}-${month}-${day}T${hour}:${minute}:${second}.${digits}Z`;
}

/** Years of four digits stand as they are, others with a sign and six digits. */
function isoYear(year: number): string {
  if (year >= 0 && year <= 9999) return String(year).padStart(4, "0");
  return `${year < 0 ? "-" : "+"}${String(Math.abs(year)).padStart(6, "0")}`;
}

/** What the server takes for a date; `undefined` where it can hold none so early. */
export function serverTextOfDate(date: Date): string | undefined {
  const time = date.getTime();
  if (time < FIRST_MS || time > LAST_MS) return undefined;
  return serverTextOfIso(date.toISOString());
}

/** The server has no year 0: the year before 1 is 1 BC. */
function serverTextOfIso(iso: string): string {
  const year = Number(iso.slice(0, iso.indexOf("-", 1)));
  const rest = iso.slice(iso.indexOf("-", 1), -1).replace("T", " ");
  if (year > 0) return `${String(year).padStart(4, "0")}${rest}+00`;
  return `${String(1 - year).padStart(4, "0")}${rest}+00 BC`;
}

const ISO_TEXT = /^(?:\d{4}|[+-]\d{6})-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z$/;

/** What the server takes for the text of a tag: ISO 8601 in UTC is turned into its form, all else is left to the server. */
export function serverTextOfTag(text: string): string {
  return ISO_TEXT.test(text) ? serverTextOfIso(text) : text;
}
