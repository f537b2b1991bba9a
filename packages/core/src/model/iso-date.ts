/** Dates as ISO 8601 text and back, faster than `Date` does it. */

/** 0000-01-01, in milliseconds: dates before it have a sign and six digits in their text. */
export const YEAR_0 = -62_167_219_200_000;
/** 10000-01-01, from which on they have them again. */
const YEAR_10000 = 253_402_300_800_000;

/** Whether a time, in ms since 1970, is in a year from 0 to 9999, whose text has just four digits for it. */
export function hasPlainYear(time: number): boolean {
  return time >= YEAR_0 && time < YEAR_10000;
}

/** V8 has several kinds of strings, and looks the method up anew for each of them when it is named at the place of use. */
const { charCodeAt } = String.prototype;

const MINUTE = 60_000;
const DAY = 86_400_000;

const twoDigits = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, "0"));
const threeDigits = Array.from({ length: 1000 }, (_, number) => String(number).padStart(3, "0"));
const minutes = Array.from(
  { length: 24 * 60 },
  (_, minute) => `${twoDigits[Math.floor(minute / 60)]}:${twoDigits[minute % 60]}:`,
);

/** Days whose text is remembered: records that come together are mostly of a few thousand days. */
const REMEMBERED = 4096;
const days = new Array<number>(REMEMBERED).fill(Number.NaN);
const dayTexts = new Array<string>(REMEMBERED).fill("");

/**
 * The text of a date as `toISOString()` writes it, in a fourth of the time.
 *
 * @param date a valid one.
 */
export function isoText(date: Date): string {
  const time = date.getTime();
  if (!hasPlainYear(time)) return date.toISOString();
  const day = Math.floor(time / DAY);
  const slot = day & (REMEMBERED - 1);
  if (days[slot] !== day) {
    days[slot] = day;
    dayTexts[slot] = date.toISOString().slice(0, 11);
  }
  const ofDay = time - day * DAY;
  const minute = Math.floor(ofDay / MINUTE);
  const ofMinute = ofDay - minute * MINUTE;
  const second = Math.floor(ofMinute / 1000);
  return `${dayTexts[slot]}${minutes[minute]}${twoDigits[second]}.${threeDigits[ofMinute - second * 1000]}Z`;
}

const monthLengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * The date of which `toISOString()` would write just this text; `undefined` when it is none of the years 0 to 9999.
 * Writing it to compare takes five times as long as looking at the digits.
 */
export function dateOfIso(text: string): Date | undefined {
  if (text.length !== 24 || !isPunctuated(text)) return undefined;
  const year = digits(text, 0) * 100 + digits(text, 2);
  const month = digits(text, 5);
  const day = digits(text, 8);
  const hour = digits(text, 11);
  const minute = digits(text, 14);
  const second = digits(text, 17);
  const millisecond = digits(text, 20) * 10 + digit(text, 22);
  // Whatever is no digit has made a NaN, with which no comparison holds.
  const inRange = year >= 0 && month >= 1 && month <= 12 && day >= 1 && hour < 24 && minute < 60 && second < 60;
  if (!inRange || !(millisecond >= 0) || day > lengthOf(month, year)) return undefined;
  return new Date((dayNumber(year, month, day) * 1440 + hour * 60 + minute) * MINUTE + second * 1000 + millisecond);
}

const ISO_DAY = /^(\d{4}|[+-]\d{6})-(\d\d)-(\d\d)(?:T(\d\d)|$)/;

/**
 * The date that a text of ISO 8601 means, in any form that JavaScript reads; `undefined` for what is none, and for a day or
 * an hour that does not exist: `new Date("2024-02-30")` is the first of March, and hour 24 the next day.
 */
export function dateOfText(text: string): Date | undefined {
  const date = dateOfIso(text);
  if (date !== undefined) return date;
  const [, year, month, day, hour] = ISO_DAY.exec(text) ?? [];
  if (year === undefined || hour === "24" || !(Number(day) <= lengthOf(Number(month), Number(year)))) return undefined;
  const read = new Date(text);
  return Number.isNaN(read.getTime()) ? undefined : read;
}

/** `....-..-..T..:..:......Z` */
function isPunctuated(text: string): boolean {
  return (
    charCodeAt.call(text, 4) === 0x2d &&
    charCodeAt.call(text, 7) === 0x2d &&
    charCodeAt.call(text, 10) === 0x54 &&
    charCodeAt.call(text, 13) === 0x3a &&
    charCodeAt.call(text, 16) === 0x3a &&
    charCodeAt.call(text, 19) === 0x2e &&
    charCodeAt.call(text, 23) === 0x5a
  );
}

function digit(text: string, at: number): number {
  const number = charCodeAt.call(text, at) - 0x30;
  return number >= 0 && number <= 9 ? number : Number.NaN;
}

function digits(text: string, at: number): number {
  return digit(text, at) * 10 + digit(text, at + 1);
}

function lengthOf(month: number, year: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && isLeap ? 29 : monthLengths[month - 1]!;
}

/** Days since 1970. Years begin in March here, so that the day of a leap year comes last. */
function dayNumber(year: number, month: number, day: number): number {
  const start = month > 2 ? year : year - 1;
  const monthOfYear = month > 2 ? month - 3 : month + 9;
  const ofYear = Math.floor((153 * monthOfYear + 2) / 5) + day - 1;
  const leapDays = Math.floor(start / 4) - Math.floor(start / 100) + Math.floor(start / 400);
  return start * 365 + leapDays + ofYear - 719_468;
}
