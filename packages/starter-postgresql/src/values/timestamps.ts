/** Timestamps: the server's text of points in time, and dates of JavaScript. */

/** As the server writes one with `DateStyle` ISO, in UTC where it has a zone. */
const SERVER_TEXT = /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:\+00)?( BC)?$/;

/** The first instant that the server can hold, in ms since 1970: 4714-11-24 BC. Its last one is later than that of a `Date`. */
const FIRST_MS = -210_866_803_200_000;

/** The date of the server's text, where milliseconds and a `Date` say it exactly; else `undefined` (also for `infinity`). */
export function dateOfServerText(text: string): Date | undefined {
  const { length } = text;
  const year = digits(text, 0) * 100 + digits(text, 2);
  // Nearly all are of this form.
  if (
    year >= 100 &&
    text.charCodeAt(4) === HYPHEN &&
    text.charCodeAt(10) === SPACE &&
    text.charCodeAt(length - 1) !== C
  ) {
    const end = text.charCodeAt(length - 3) === PLUS ? length - 3 : length;
    const fraction = end - 20;
    if (fraction > 3) return undefined;
    let ms = 0;
    if (fraction > 0) ms = Number(text.slice(20, end)) * (fraction === 1 ? 100 : fraction === 2 ? 10 : 1);
    const minutes = digits(text, 11) * 60 + digits(text, 14);
    const days = daysSince1970(year, digits(text, 5), digits(text, 8));
    return new Date(days * DAY_MS + minutes * 60_000 + digits(text, 17) * 1000 + ms);
  }
  const iso = isoOfServerText(text);
  if (iso === undefined || !ISO_MS.test(iso)) return undefined;
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

const DAY_MS = 86_400_000;

/**
 * The days from 1970-01-01 to a date of the Gregorian calendar, by counting years from March on, so that the leap day is the last one
 * (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`). `Date.UTC` takes several times as long.
 */
function daysSince1970(year: number, month: number, day: number): number {
  const counted = month > 2 ? year : year - 1;
  const era = Math.floor(counted / 400);
  const ofEra = counted - era * 400;
  const ofYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468;
}

const HYPHEN = 45;
const SPACE = 32;
const PLUS = 43;
const C = 67;
const ZERO = 48;
const ISO_MS = /:\d\d\.\d{3}Z$/;

/** The number of two digits; `NaN` past the end. */
function digits(text: string, at: number): number {
  return (text.charCodeAt(at) - ZERO) * 10 + text.charCodeAt(at + 1) - ZERO;
}

/** The ISO 8601 text of the server's text, with as many digits of the second as it has, 3 at least; `undefined` for `infinity`. */
export function isoOfServerText(text: string): string | undefined {
  const parts = SERVER_TEXT.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = "", bc] = parts as unknown as string[];
  const astronomical = bc === undefined ? Number(year) : 1 - Number(year);
  return `${isoYear(astronomical)}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, "0")}Z`;
}

/** Years of four digits stand as they are, others with a sign and six digits. */
function isoYear(year: number): string {
  if (year >= 0 && year <= 9999) return String(year).padStart(4, "0");
  return `${year < 0 ? "-" : "+"}${String(Math.abs(year)).padStart(6, "0")}`;
}

/** Whether the server can hold a date: it has none so early as the first ones of JavaScript. */
export function holdsDate(date: Date): boolean {
  return date.getTime() >= FIRST_MS;
}

/** What the server takes for a date; `undefined` where it can hold none so early. */
export function serverTextOfDate(date: Date): string | undefined {
  return !holdsDate(date) ? undefined : serverTextOfIso(date.toISOString());
}

/** The server has no year 0: the year before 1 is 1 BC. */
function serverTextOfIso(iso: string): string {
  if (iso.charCodeAt(4) === HYPHEN && iso.charCodeAt(0) !== HYPHEN && !iso.startsWith("0000")) {
    return `${iso.slice(0, 10)} ${iso.slice(11, -1)}+00`;
  }
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
