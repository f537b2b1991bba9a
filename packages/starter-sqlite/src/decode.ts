import { decodeJson, encodeJson, type P2PValue } from "@omni/p2p-core";
import type { ColumnKind } from "./types.ts";

/** Makes the value of a record from what a cell holds: null, number, bigint (unsafe integers only), string or bytes. */
export type Decoder = (stored: P2PValue) => P2PValue;

/** 0000-01-01, in milliseconds: dates before it are stored as a number, which sorts before all text. */
export const YEAR_0 = -62_167_219_200_000;

/** How cells of a column are read; `undefined` when they come as they are, which is most. */
export function decoderOf(kind: ColumnKind): Decoder | undefined {
  switch (kind) {
    case "boolean":
      return (stored) => (stored === 0 ? false : stored === 1 ? true : stored);
    case "number":
      // 1e18 is stored as an integer; it is a bigint only if it cannot be the number that was written.
      return (stored) => (typeof stored === "bigint" && BigInt(Number(stored)) === stored ? Number(stored) : stored);
    case "bigint":
      return (stored) => (typeof stored === "number" && Number.isSafeInteger(stored) ? BigInt(stored) : stored);
    case "date":
      return (stored) => (typeof stored === "string" ? dateOrText(stored) : stored);
    case "timestamp":
      return decodeTimestamp;
    case "json":
      return (stored) => (typeof stored === "string" ? jsonOrText(stored) : stored);
    default:
      return undefined;
  }
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** A date only if writing it gives the same text again, so that nothing is lost on the way back. */
function dateOrText(text: string): Date | string {
  if (text.length !== 24 || !ISO.test(text)) return text;
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text ? date : text;
}

function decodeTimestamp(stored: P2PValue): P2PValue {
  if (typeof stored === "string") return dateOrText(stored);
  if (typeof stored === "number") {
    return Number.isInteger(stored) && stored < YEAR_0 && stored >= -8.64e15 ? new Date(stored) : stored;
  }
  if (!(stored instanceof Uint8Array) || stored.length !== 27 || stored[0] !== 0x2b) return stored;
  const text = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength).toString("latin1");
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text ? date : stored;
}

/** A list or an object only if writing it gives the same text again. */
function jsonOrText(text: string): P2PValue {
  if (text[0] !== "{" && text[0] !== "[") return text;
  try {
    const value = decodeJson(text);
    return typeof value === "object" && encodeJson(value) === text ? value : text;
  } catch {
    return text;
  }
}
