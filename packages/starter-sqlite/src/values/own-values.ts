import { encodeJson, isoText, isSingleObject, type P2PValue, YEAR_0 } from "@omni/p2p-core/starter";
import { isInt64, type SqlValue } from "../client/sql.ts";
import type { ColumnKind } from "../types.ts";

/** Says that a column cannot hold a value so that it comes back equal: the sidecar must. */
export const UNREPRESENTABLE = Symbol("unrepresentable");

/** What a column of one of our tables holds for a value that it can say fully; else {@link UNREPRESENTABLE}. */
export function storeOwn(kind: ColumnKind, value: P2PValue): SqlValue | typeof UNREPRESENTABLE {
  if (value === null) return null;
  switch (kind) {
    case "text":
      return typeof value === "string" ? value : UNREPRESENTABLE;
    case "number":
      return typeof value === "number" && !Number.isNaN(value) && !Object.is(value, -0) ? value : UNREPRESENTABLE;
    case "bigint":
      if (typeof value === "bigint") return isInt64(value) ? value : UNREPRESENTABLE;
      // A whole number would become an integer in the column, and come back as a bigint.
      return typeof value === "number" &&
        !Number.isNaN(value) &&
        !(Number.isInteger(value) && Math.abs(value) <= 2 ** 63)
        ? value
        : UNREPRESENTABLE;
    case "boolean":
      return typeof value === "boolean" ? Number(value) : UNREPRESENTABLE;
    case "timestamp":
      return value instanceof Date ? storeDate(value) : UNREPRESENTABLE;
    case "blob":
      return value instanceof Uint8Array ? value : UNREPRESENTABLE;
    case "json":
      return storeJson(value);
    case "any":
      return storeUntyped(value);
    case "integer":
    case "real":
    case "numeric":
    case "date":
      // A column that others have added: it is tried what it gives back.
      return UNREPRESENTABLE;
  }
}

/** A date in the form that sorts by time: a number before the year 0, then text, then bytes after the year 9999. */
export function storeDate(date: Date): SqlValue {
  const time = date.getTime();
  if (time < YEAR_0) return time;
  const text = isoText(date);
  return text[0] === "+" ? new Uint8Array(Buffer.from(text, "latin1")) : text;
}

function storeJson(value: P2PValue): SqlValue | typeof UNREPRESENTABLE {
  if (typeof value !== "object" || isSingleObject(value)) return UNREPRESENTABLE;
  return encodeJson(value);
}

/** A column without a type keeps SQLite's own four types apart; whole numbers go in as integers, as others expect. */
export function storeUntyped(value: P2PValue): SqlValue | typeof UNREPRESENTABLE {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
      if (Number.isNaN(value)) return UNREPRESENTABLE;
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value;
    case "bigint":
      return isInt64(value) && !Number.isSafeInteger(Number(value)) ? value : UNREPRESENTABLE;
    default:
      return value instanceof Uint8Array ? value : UNREPRESENTABLE;
  }
}
