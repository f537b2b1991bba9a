/** Visible values: what stands in a cell of a table of ours for a value that only the sidecar says fully. */
import {
  encodeJson,
  isoText,
  type JsonValue,
  type P2PValue,
  parseJson,
  TaggedValue,
  valuesEqual,
} from "@omni/p2p-core/starter";
import type { Cell } from "../client/session.ts";
import { STORE } from "../types.ts";
import { hexOf, numberText } from "./encode.ts";
import { decimalText } from "./numeric.ts";

/**
 * What stands in the cell for others to read: in a column of texts the value as text, in one of numbers the same number; else NULL.
 *
 * @param type of the column, as `pg_type.typname` has it.
 */
export function visibleCell(type: string, value: P2PValue): Cell {
  if (value === null) return null;
  switch (type) {
    case "text":
      return shown(value).replaceAll("\0", NUL_SHOWN);
    case "jsonb":
      return encodeJson(value).replaceAll(/(?<!\\)((?:\\\\)*)\\u0000/g, `$1${NUL_SHOWN}`);
    case "numeric":
      return visibleDecimal(value);
    case "float8":
      return typeof value === "bigint" && BigInt(finite(Number(value))) === value ? floatText(Number(value)) : null;
    default:
      return null;
  }
}

/** What is shown for U+0000, which the server has not. */
const NUL_SHOWN = "\u2400";

/** Whether a cell that is not NULL is still what {@link visibleCell} gave, and not what others wrote over it. */
export function isVisibleCell(type: string, value: P2PValue, cell: string): boolean {
  const visible = visibleCell(type, value);
  if (visible === cell) return true;
  // The server writes the parts of JSON in an order of its own.
  return type === "jsonb" && visible !== null && sameJson(visible, cell);
}

function sameJson(text: string, other: string): boolean {
  const parse = (json: string): JsonValue => parseJson(json);
  return valuesEqual(parse(text) as P2PValue, parse(other) as P2PValue);
}

function visibleDecimal(value: P2PValue): Cell {
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0) ? decimalText(value) : null;
  if (!(value instanceof TaggedValue) || value.type !== `${STORE}:numeric` || typeof value.value !== "string")
    return null;
  return /^-?(?:0|[1-9]\d{0,999})(?:\.\d{1,999})?$/.test(value.value) && Number(value.value) !== 0 ? value.value : null;
}

function finite(number: number): number {
  return Number.isFinite(number) ? number : 0;
}

/** A whole number as the server writes a `double precision`: with an exponent from 1e15 on. */
function floatText(number: number): string {
  return Math.abs(number) < 1e15 ? String(number) : number.toExponential();
}

function shown(value: Exclude<P2PValue, null>): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return numberText(value);
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (value instanceof Date) return isoText(value);
  return value instanceof Uint8Array ? hexOf(value) : encodeJson(value);
}
