/** Decimals: what of the type `numeric` a number or a bigint of JavaScript says exactly. */
import { MAX_BIGINT_DIGITS } from "@omni/p2p-core/starter";

/** Precision and scale of a `numeric` with a type modifier; `undefined` without one. Source: `numeric_in` of PostgreSQL. */
export function scaleOf(typmod: number): { readonly precision: number; readonly scale: number } | undefined {
  if (typmod < 4) return undefined;
  const modifier = typmod - 4;
  // The scale is a signed number of 11 bits since PostgreSQL 15.
  return { precision: (modifier >> 16) & 0xffff, scale: ((modifier & 0x7ff) ^ 0x400) - 0x400 };
}

/** Any decimal of at most so many digits is that of exactly one double, whose shortest text it is. */
const SAFE_DIGITS = 15;

/**
 * The number that is the decimal, where it says its scale too or the zeros that a declared scale adds are of no matter; else the
 * bigint, where it is whole; else `undefined`.
 *
 * @param text as the server writes decimals, without an exponent.
 */
export function exactNumber(text: string, scaled: boolean): number | bigint | undefined {
  const isWhole = !text.includes(".");
  if (isWhole ? text.length <= SAFE_DIGITS : text.length <= SAFE_DIGITS + 1 && (scaled || !text.endsWith("0"))) {
    return isSigned(text, "-0") ? undefined : Number(text);
  }
  const number = Number(text);
  const shown = String(number);
  if (shown === text) return number;
  if (isWhole) return wholeNumber(text);
  return (scaled || !text.endsWith("0")) && sameDecimal(text, shown) ? number : undefined;
}

/** A decimal that is minus zero, which no server writes. */
function isSigned(text: string, start: string): boolean {
  return text.startsWith(start) && Number(text) === 0;
}

/** The bigint of a text of digits, without zeros before them; `undefined` for other texts, and where no record may hold it. */
export function wholeNumber(text: string): bigint | undefined {
  const digits = text.startsWith("-") ? text.length - 1 : text.length;
  return digits > MAX_BIGINT_DIGITS || !/^-?\d+$/.test(text) ? undefined : BigInt(text);
}

const DECIMAL = /^(-?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i;

/** A decimal as its sign, its digits from the first to the last that counts, and how far the last one stands behind the point. */
function partsOf(text: string): { sign: string; digits: string; behind: number } | undefined {
  const parts = DECIMAL.exec(text);
  if (parts === null) return undefined;
  const [, sign, whole, fraction = "", exponent = "0"] = parts as unknown as string[];
  const all = `${whole}${fraction}`;
  let end = all.length;
  while (end > 0 && all.charCodeAt(end - 1) === 48) end--;
  let start = 0;
  while (start < end && all.charCodeAt(start) === 48) start++;
  return {
    sign: sign!,
    digits: all.slice(start, end),
    behind: fraction.length - (all.length - end) - Number(exponent),
  };
}

/** Whether two texts are of one decimal, however each is written. */
export function sameDecimal(text: string, other: string): boolean {
  if (text === other) return true;
  const [a, b] = [partsOf(text), partsOf(other)];
  if (a === undefined || b === undefined) return false;
  if (a.digits === "" || b.digits === "") return a.digits === b.digits && a.sign === b.sign;
  return a.sign === b.sign && a.digits === b.digits && a.behind === b.behind;
}

/** Whether a decimal with this scale holds the text of a number without rounding it. */
export function fitsScale(text: string, scale: number): boolean {
  const parts = partsOf(text);
  return parts === undefined || parts.digits === "" || parts.behind <= scale;
}

/** A finite number as the server writes it as a decimal. */
export function decimalText(value: number): string {
  const text = String(value);
  if (!text.includes("e")) return text;
  const { sign, digits, behind } = partsOf(text)!;
  if (behind <= 0) return `${sign}${digits}${"0".repeat(-behind)}`;
  // Numbers with an exponent are all fraction, or all whole.
  return `${sign}0.${digits.padStart(behind, "0")}`;
}

/** The number that a text spells as a number or a bigint is written, so that the text can be told from it. */
export function isNumberText(text: string): boolean {
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text) && !isSigned(text, "-");
}
