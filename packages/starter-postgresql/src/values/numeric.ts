/** Decimals: what of the type `numeric` a number or a bigint of JavaScript says exactly. */

/** Precision and scale of a `numeric` with a type modifier; `undefined` without one. Source: `numeric_in` of PostgreSQL. */
export function scaleOf(typmod: number): { readonly precision: number; readonly scale: number } | undefined {
  if (typmod < 4) return undefined;
  const modifier = typmod - 4;
  // The scale is a signed number of 11 bits since PostgreSQL 15.
  return { precision: (modifier >> 16) & 0xffff, scale: ((modifier & 0x7ff) ^ 0x400) - 0x400 };
}

/** Without the zeros that a declared scale adds. */
function withoutZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/**
 * The number whose text is the decimal's, where the zeros that a declared scale adds are of no matter; else the bigint, where it
 * is whole; else `undefined`.
 */
export function exactNumber(text: string, scaled: boolean): number | bigint | undefined {
  const number = Number(text);
  const shown = String(number);
  if (shown === text || (scaled && shown === withoutZeros(text))) return number;
  return /^-?\d+$/.test(text) ? BigInt(text) : undefined;
}

const PLAIN = /^-?(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i;

/** Whether a decimal with this scale holds the text of a number without rounding it. */
export function fitsScale(text: string, scale: number): boolean {
  const parts = PLAIN.exec(text);
  if (parts === null) return true;
  const exponent = Number(parts[3] ?? 0);
  const digits = `${parts[1]}${parts[2] ?? ""}`;
  const significant = digits.replace(/0+$/, "");
  if (significant === "") return true;
  // How far the last digit that counts stands behind the point.
  const behind = (parts[2] ?? "").length - (digits.length - significant.length) - exponent;
  return behind <= scale;
}
