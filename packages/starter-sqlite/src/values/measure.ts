import type { P2PValue } from "@omni/p2p-core/starter";

/** A row as the driver gave it, on its way to being a record. */
export type Row = Record<string, P2PValue>;

/** Says that a number of the row may have lost digits, so that it must be read again with exact integers. */
export const INEXACT = -1;

const LARGEST = 2 ** 63;

/**
 * The size of a cell in bytes, roughly; {@link INEXACT} for a number that may have lost digits. Bytes are replaced by
 * the same without the driver's Buffer around them.
 */
export function cellBytes(row: Row, name: string): number {
  const value = row[name]!;
  switch (typeof value) {
    case "string":
      return value.length;
    case "number":
      return (value > Number.MAX_SAFE_INTEGER && value <= LARGEST) ||
        (value < Number.MIN_SAFE_INTEGER && value >= -LARGEST)
        ? INEXACT
        : 8;
    default:
      if (!(value instanceof Uint8Array)) return 0;
      row[name] = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      return value.byteLength;
  }
}

/** The size of a row in bytes, found in the one pass that makes its cells plain values, or {@link INEXACT}. */
export function measure(row: Row): number {
  let bytes = 0;
  for (const name in row) {
    const cell = cellBytes(row, name);
    if (cell === INEXACT) return INEXACT;
    bytes += cell;
  }
  return bytes;
}

/** {@link measure} for rows whose integers were read as bigints: they become numbers where a number is exact. */
export function measureExact(row: Row): number {
  let bytes = 0;
  for (const name in row) {
    const value = row[name]!;
    if (typeof value === "string") bytes += value.length;
    else if (typeof value === "bigint") {
      if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) row[name] = Number(value);
      bytes += 8;
    } else if (value instanceof Uint8Array) {
      row[name] = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      bytes += value.byteLength;
    } else bytes += 8;
  }
  return bytes;
}
