/** Exact numbers of decimal text: what a double, or a bigint, says without rounding. */
import { MAX_BIGINT_DIGITS } from "../../model/value-tree.ts";

const DECIMAL = /^([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:e([+-]?\d{1,6}))?$/i;

/** A decimal as its sign, its digits from the first to the last that counts, and how far the last one stands behind the point. */
interface DecimalParts {
  readonly sign: "-" | "";
  readonly digits: string;
  readonly behind: number;
}

/** `undefined` for a text that is no decimal number, with or without an exponent. */
export function decimalParts(text: string): DecimalParts | undefined {
  const parts = DECIMAL.exec(text);
  if (parts === null) return undefined;
  const [, sign, whole = "", fraction = parts[4] ?? "", , exponent = "0"] = parts;
  const all = `${whole}${fraction}`;
  let end = all.length;
  while (end > 0 && all.charCodeAt(end - 1) === ZERO) end--;
  let start = 0;
  while (start < end && all.charCodeAt(start) === ZERO) start++;
  return {
    sign: sign === "-" ? "-" : "",
    digits: all.slice(start, end),
    behind: start === end ? 0 : fraction.length - (all.length - end) - Number(exponent),
  };
}

const ZERO = 48;

/** The double that is the very decimal of the text, so that its shortest text is that decimal; `undefined` where there is none. */
export function exactDouble(text: string): number | undefined {
  const parts = decimalParts(text);
  if (parts === undefined) return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) return undefined;
  const shown = decimalParts(String(value));
  const same = shown !== undefined && shown.digits === parts.digits && shown.behind === parts.behind;
  return same ? value : undefined;
}

/** The whole number of a text, also of one with zeros behind its point or an exponent; `undefined` for any other. */
export function exactInteger(text: string): bigint | undefined {
  const parts = decimalParts(text);
  if (parts === undefined || parts.behind > 0 || parts.digits.length - parts.behind > MAX_BIGINT_DIGITS)
    return undefined;
  if (parts.digits === "") return 0n;
  return BigInt(`${parts.sign}${parts.digits}${"0".repeat(-parts.behind)}`);
}

/** A whole number as records have it: a number where that is exact, else a bigint. */
export function wholeValue(value: bigint): number | bigint {
  return value >= -MAX_SAFE && value <= MAX_SAFE ? Number(value) : value;
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);
