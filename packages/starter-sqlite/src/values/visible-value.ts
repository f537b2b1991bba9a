import { encodeJson, isoText, type P2PValue, type ValueType, valuesEqual, valueType } from "@omni/p2p-core/starter";
import { isInt64, type SqlValue } from "../client/sql.ts";
import type { Column } from "../client/table.ts";
import { decodeNoted, decoders, type NotedType } from "./decode.ts";
import { storeUntyped } from "./own-values.ts";

/**
 * What stands in the cell of a value that its column cannot give back with its type: the value all the same, as far as
 * a cell can say it, for whoever reads the file with SQL. The sidecar says what it is.
 */
export function visibleCell({ affinity }: Pick<Column, "affinity">, value: P2PValue): SqlValue {
  const isText = affinity === "text";
  switch (typeof value) {
    case "string":
      return value;
    case "boolean":
      return isText ? String(value) : Number(value);
    case "number":
      if (isText) return String(value);
      if (Number.isNaN(value)) return null;
      return affinity === "none" ? (storeUntyped(value) as SqlValue) : value === 0 ? 0 : value;
    case "bigint":
      if (isText) return value.toString();
      return isInt64(value) ? value : Number(value);
    default:
      if (value === null || value instanceof Uint8Array) return value;
      return value instanceof Date ? isoText(value) : encodeJson(value);
  }
}

/** What SQLite would take for a number when it stores a text in a numeric column. */
const NUMERIC_TEXT = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;

/** Whether a column with a numeric affinity makes a number of the text. */
export function isNumericText(text: string): boolean {
  return NUMERIC_TEXT.test(text);
}

/** What a column gives back of what was bound for it, by its affinity; `undefined` where it is not known exactly. */
function keptCell({ affinity }: Pick<Column, "affinity">, bound: SqlValue): SqlValue | undefined {
  switch (typeof bound) {
    case "string":
      return affinity !== "text" && affinity !== "none" && isNumericText(bound) ? undefined : bound;
    case "number": {
      if (affinity === "text") return undefined;
      if (affinity === "none" || affinity === "real") return bound;
      if (!Number.isInteger(bound) || Math.abs(bound) >= 2 ** 63) return bound;
      return Number.isSafeInteger(bound) ? bound + 0 : BigInt(bound);
    }
    case "bigint":
      if (affinity === "text") return undefined;
      if (affinity === "real") return Number(bound);
      return Number.isSafeInteger(Number(bound)) ? Number(bound) : bound;
    default:
      return bound;
  }
}

/** What must be noted of a value so that it comes back with its type: nothing, its type, or all of it. */
export type Note = "nothing" | NotedType | "value";

const NOTED_TYPES: Readonly<Record<ValueType, NotedType | undefined>> = {
  null: undefined,
  boolean: "boolean",
  number: "number",
  bigint: "bigint",
  string: "plain",
  date: "date",
  bytes: "plain",
  array: "json",
  object: "json",
  tagged: "json",
};

/** Whether a column gives a value back with its type. @param bound what {@link visibleCell} gave for the value. */
export function givesBack(column: Pick<Column, "affinity" | "kind">, value: P2PValue, bound: SqlValue): boolean {
  const kept = keptCell(column, bound);
  return kept !== undefined && valuesEqual(decoders[column.kind]?.(kept) ?? kept, value);
}

/** @param bound what {@link visibleCell} gave for the value. */
export function noteOf(column: Pick<Column, "affinity" | "kind">, value: P2PValue, bound: SqlValue): Note {
  const kept = keptCell(column, bound);
  if (kept === undefined || kept === null) return "value";
  const type = NOTED_TYPES[valueType(value)];
  // JSON text is read back as a column of JSON reads it.
  if (type === "json" && column.kind !== "json") return type;
  // The values of these columns sort by their cells where there is no sidecar, which another kind's would not do.
  const isPure = column.kind === "boolean" || column.kind === "timestamp" || column.kind === "json";
  if (!isPure && givesBack(column, value, bound)) return "nothing";
  return type !== undefined && valuesEqual(decodeNoted(type, kept), value) ? type : "value";
}

/** Whether a cell is still what was bound when it was written, and not something that others wrote over it. */
export function isStillBound(bound: SqlValue, cell: P2PValue): boolean {
  if (bound instanceof Uint8Array || cell instanceof Uint8Array) {
    return bound instanceof Uint8Array && cell instanceof Uint8Array && Buffer.compare(bound, cell) === 0;
  }
  if (typeof bound === "string") {
    if (typeof cell === "string") return bound === cell;
    // A numeric column has made a number of it.
    return isNumericText(bound) && Number(bound) === Number(cell as number | bigint);
  }
  if (typeof cell !== "number" && typeof cell !== "bigint") return false;
  // Numbers and bigints of the same size are neither larger nor smaller than each other.
  return bound !== null && !(bound < cell) && !(bound > cell);
}
