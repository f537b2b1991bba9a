import { dateOfIso, decodeJson, encodeJson, JSON_TAG, type P2PValue, parseJson, YEAR_0 } from "@omni/p2p-core/starter";
import type { ColumnKind } from "../types.ts";

/** What marks a tag in JSON text. */
const TAG_TEXT = JSON.stringify(JSON_TAG);

/** Makes the value of a record from what a cell holds: null, number, bigint (unsafe integers only), string or bytes. */
export type Decoder = (stored: P2PValue) => P2PValue;

/** How cells of a column are read; none where they come as they are, which is most. */
export const decoders: { readonly [K in ColumnKind]?: Decoder } = {
  boolean: (stored) => (stored === 0 ? false : stored === 1 ? true : stored),
  // 1e18 is stored as an integer; it is a bigint only if it cannot be the number that was written.
  number: (stored) => (typeof stored === "bigint" && BigInt(Number(stored)) === stored ? Number(stored) : stored),
  bigint: (stored) => (typeof stored === "number" && Number.isSafeInteger(stored) ? BigInt(stored) : stored),
  date: (stored) => (typeof stored === "string" ? dateOrText(stored) : stored),
  timestamp: decodeTimestamp,
  json: (stored) => (typeof stored === "string" ? jsonOrText(stored) : stored),
};

/** What the sidecar says of a cell whose column does not tell the type of its value. */
export type NotedType = "boolean" | "number" | "bigint" | "date" | "json" | "plain";

/** The value of a cell whose type is noted in the sidecar. What others have written over it comes as it is. */
export function decodeNoted(type: NotedType, stored: P2PValue): P2PValue {
  switch (type) {
    case "boolean":
      if (stored === 0 || stored === "false") return false;
      return stored === 1 || stored === "true" ? true : stored;
    case "number":
      if (typeof stored === "bigint") return Number(stored);
      return typeof stored === "string" && String(Number(stored)) === stored ? Number(stored) : stored;
    case "bigint":
      if (typeof stored === "number") return Number.isSafeInteger(stored) ? BigInt(stored) : stored;
      return typeof stored === "string" && /^(0|-?[1-9]\d*)$/.test(stored) ? BigInt(stored) : stored;
    case "date":
      return typeof stored === "string" ? dateOrText(stored) : stored;
    case "json":
      return typeof stored === "string" ? jsonOrText(stored) : stored;
    case "plain":
      return stored;
  }
}

const NOTED: ReadonlySet<unknown> = new Set<NotedType>(["boolean", "number", "bigint", "date", "json", "plain"]);

export function isNotedType(type: unknown): type is NotedType {
  return NOTED.has(type);
}

/** A date only if writing it gives the same text again, so that nothing is lost on the way back. */
function dateOrText(text: string): Date | string {
  return dateOfIso(text) ?? text;
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
    if (!text.includes(TAG_TEXT)) {
      // Without tags the two steps between JSON and values have nothing to do.
      const value = parseJson(text) as P2PValue;
      return JSON.stringify(value) === text ? value : text;
    }
    const value = decodeJson(text);
    return typeof value === "object" && encodeJson(value) === text ? value : text;
  } catch {
    return text;
  }
}
