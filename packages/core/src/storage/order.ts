import { type P2PValue, valueType } from "./value.ts";

/**
 * Compares two strings by code point, as stores that hold UTF-8 do. JavaScript's `<` compares UTF-16 units and puts
 * U+1F600 before U+FF5E.
 */
export function compareStrings(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return surrogateLast(left) - surrogateLast(right);
  }
  return a.length - b.length;
}

/** Moves the surrogates above the rest of the basic plane, which makes unit order equal code point order. */
function surrogateLast(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x2000 : unit >= 0xe000 ? unit - 0x800 : unit;
}

/**
 * Orders two values of comparable types: numbers and bigints by size, strings by code point, booleans false first,
 * dates by time, bytes by their values.
 *
 * @returns a negative number, zero or a positive number; `undefined` when the two cannot be compared.
 */
export function compareValues(a: P2PValue, b: P2PValue): number | undefined {
  const [left, right] = [comparableAs(a), comparableAs(b)];
  if (left === undefined || left !== right) return undefined;
  switch (left) {
    case "string":
      return compareStrings(a as string, b as string);
    case "bytes":
      return Buffer.compare(a as Uint8Array, b as Uint8Array);
    default: {
      const [x, y] = [a as number, b as number];
      if (x < y) return -1;
      if (x > y) return 1;
      // Of two that are neither smaller nor greater one may be NaN; a number and a bigint of one size are never `===`.
      return Number.isNaN(x) || Number.isNaN(y) ? undefined : 0;
    }
  }
}

function comparableAs(value: P2PValue): "number" | "string" | "boolean" | "date" | "bytes" | undefined {
  const type = valueType(value);
  switch (type) {
    case "number":
    case "bigint":
      return "number";
    case "string":
    case "boolean":
    case "date":
    case "bytes":
      return type;
    default:
      return undefined;
  }
}
