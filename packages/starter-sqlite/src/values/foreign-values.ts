import { encodeJson, isoText, type P2PValue, valueType } from "@omni/p2p-core/starter";
import { isInt64, type SqlValue } from "../client/sql.ts";
import type { ColumnKind } from "../types.ts";
import { decoders } from "./decode.ts";
import { isNumericText } from "./visible-value.ts";

/** Says that a column of another's table cannot hold a value without losing some of it. */
export const REFUSED = Symbol("refused");

/**
 * What a column of a table that others made holds for a value. A value of another type than the column's is
 * converted where the column then says all that the value said: a boolean becomes 0 or 1, a date ISO 8601 text, a
 * list or an object JSON text, a number text in a text column. Else it is {@link REFUSED}.
 */
export function storeForeign(kind: ColumnKind, value: P2PValue): SqlValue | typeof REFUSED {
  switch (typeof value) {
    case "string":
      return storeText(kind, value);
    case "number":
      return storeNumber(kind, value);
    case "bigint":
      return storeBigint(kind, value);
    case "boolean":
      if (kind === "text") return String(value);
      return kind === "blob" || kind === "date" || kind === "json" ? REFUSED : Number(value);
    default:
      return value === null ? null : storeObject(kind, value);
  }
}

const decodeJsonCell = decoders.json!;

function storeText(kind: ColumnKind, text: string): SqlValue | typeof REFUSED {
  switch (kind) {
    case "text":
    case "blob":
    case "any":
      return text;
    case "integer":
    case "real":
      return numberOf(text);
    case "boolean":
      return REFUSED;
    case "json":
      // It must not come back as the list, the object or the number that it spells.
      return isNumericText(text) || decodeJsonCell(text) !== text ? REFUSED : text;
    case "number":
    case "bigint":
    case "timestamp":
    case "numeric":
    case "date":
      return isNumericText(text) ? numberOf(text) : text;
  }
}

/** The number that a text spells in exactly the way that JavaScript does. */
function numberOf(text: string): SqlValue | typeof REFUSED {
  if (!isNumericText(text)) return REFUSED;
  const number = Number(text);
  if (String(number) === text && (!Number.isInteger(number) || Number.isSafeInteger(number))) return number;
  if (!/^-?\d{1,19}$/.test(text)) return REFUSED;
  const integer = BigInt(text);
  return String(integer) === text && isInt64(integer) ? integer : REFUSED;
}

function storeNumber(kind: ColumnKind, number: number): SqlValue | typeof REFUSED {
  if (Number.isNaN(number)) return REFUSED;
  switch (kind) {
    case "text":
      return String(number);
    case "boolean":
      return number === 0 || number === 1 ? number : REFUSED;
    case "integer":
      return Number.isFinite(number) ? number : REFUSED;
    case "any":
    case "blob":
      // Without a type to convert it, a bound number would stay 5.0 where others wrote 5.
      return Number.isSafeInteger(number) && !Object.is(number, -0) ? BigInt(number) : number;
    case "number":
    case "bigint":
    case "timestamp":
    case "real":
    case "numeric":
    case "date":
    case "json":
      return number;
  }
}

function storeBigint(kind: ColumnKind, integer: bigint): SqlValue | typeof REFUSED {
  if (kind === "text") return integer.toString();
  if (kind === "boolean") return integer === 0n || integer === 1n ? integer : REFUSED;
  if (kind === "real") return BigInt(Number(integer)) === integer ? Number(integer) : REFUSED;
  return isInt64(integer) ? integer : REFUSED;
}

function storeObject(
  kind: ColumnKind,
  value: Exclude<P2PValue, null | boolean | number | bigint | string>,
): SqlValue | typeof REFUSED {
  if (value instanceof Uint8Array) return value;
  if (value instanceof Date) {
    return kind === "date" || kind === "text" || kind === "numeric" || kind === "any" ? isoText(value) : REFUSED;
  }
  return kind === "json" || kind === "text" || kind === "numeric" || kind === "any" ? encodeJson(value) : REFUSED;
}

/** Why a value was refused, with what to do. */
export function refusal(column: string, declared: string, value: P2PValue): string {
  const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 60)) : String(value).slice(0, 60);
  const what = valueType(value) === "bytes" ? "bytes" : `the ${valueType(value)} ${shown}`;
  const type = declared === "" ? "no type" : `the type ${declared}`;
  return `The column "${column}" has ${type} and cannot hold ${what} without loss; convert it in a transform`;
}
