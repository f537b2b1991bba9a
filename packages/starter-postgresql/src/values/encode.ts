/** Encoders: what a column takes for a value, in the server's text form. */
import { encodeJson, isSingleObject, P2PError, type P2PValue, TaggedValue, valueType } from "@omni/p2p-core/starter";
import type { Cell } from "../client/session.ts";
import type { Column, ColumnType } from "../client/table.ts";
import { STORE } from "../types.ts";
import { arrayLiteral } from "./arrays.ts";
import { baseOf } from "./decode.ts";
import { fitsJsonb } from "./jsonb.ts";
import { fitsScale, scaleOf } from "./numeric.ts";
import { serverTextOfDate, serverTextOfTag } from "./timestamps.ts";

/**
 * What a column of a table that others made takes for a value.
 *
 * @throws P2PError `TYPE_MISMATCH` when it cannot hold it without loss, `INVALID_RECORD` for text with U+0000.
 */
export function encodeCell(column: Pick<Column, "name" | "type" | "typmod" | "declared">, value: P2PValue): Cell {
  if (value === null) return null;
  const type = baseOf(column.type);
  const text = encodeAs(type, column.typmod, value);
  if (text === undefined) throw mismatch(column, value);
  if (text.includes("\0")) {
    throw new P2PError(
      "INVALID_RECORD",
      `The column "${column.name}" cannot hold the text: PostgreSQL has no character U+0000; take it out by a transform`,
    );
  }
  return text;
}

/** The text form of a value in a type; `undefined` where the type cannot hold it without loss. */
function encodeAs(type: ColumnType, typmod: number, value: P2PValue): string | undefined {
  if (value instanceof TaggedValue) {
    const own = encodeTag(type, value);
    if (own !== undefined || !isJson(type)) return own;
  }
  if (type.kind === "array") return encodeArray(type, typmod, value);
  switch (type.kind === "base" ? type.name : "") {
    case "bool":
      return typeof value === "boolean" ? (value ? "t" : "f") : undefined;
    case "int2":
      return encodeInteger(value, 32_768n);
    case "int4":
      return encodeInteger(value, 2_147_483_648n);
    case "int8":
      return encodeInteger(value, 9_223_372_036_854_775_808n);
    case "oid":
      return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32
        ? String(value)
        : undefined;
    case "float4":
      return typeof value === "number" && isFloat4(value) ? numberText(value) : undefined;
    case "float8":
      if (typeof value === "bigint") return BigInt(Number(value)) === value ? value.toString() : undefined;
      return typeof value === "number" ? numberText(value) : undefined;
    case "numeric":
      return encodeNumeric(typmod, value);
    case "bytea":
      return value instanceof Uint8Array ? hexOf(value) : undefined;
    case "json":
      return encodeJson(value);
    case "jsonb":
      return fitsJsonb(value) ? encodeJson(value) : undefined;
    case "timestamp":
    case "timestamptz":
      return value instanceof Date ? serverTextOfDate(value) : asGiven(value);
    case "date":
      if (!(value instanceof Date)) return asGiven(value);
      return value.getTime() % 86_400_000 === 0 ? serverTextOfDate(value)?.replace(" 00:00:00.000+00", "") : undefined;
    case "vector":
      return Array.isArray(value) && value.every((item) => typeof item === "number" && Number.isFinite(item))
        ? `[${value.map(String).join(",")}]`
        : asGiven(value);
    case "name":
      // The server would cut it.
      return typeof value === "string" && Buffer.byteLength(value) <= 63 ? value : undefined;
    case "varchar":
      return typeof value === "string" && isNotTrimmed(value, typmod) ? value : undefined;
    default:
      return asGiven(value);
  }
}

/** A text that the server is to judge; other values have no text of their own in such a type. */
function asGiven(value: P2PValue): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The server drops spaces beyond the length without a word. */
function isNotTrimmed(value: string, typmod: number): boolean {
  return typmod < 4 || value.length <= typmod - 4 || !value.endsWith(" ") || [...value].length <= typmod - 4;
}

function isJson({ kind, name }: ColumnType): boolean {
  return kind === "base" && (name === "json" || name === "jsonb");
}

function encodeTag(type: ColumnType, tag: TaggedValue): string | undefined {
  if (typeof tag.value !== "string" || tag.type !== `${STORE}:${type.name}`) return undefined;
  const isTime = type.name === "timestamp" || type.name === "timestamptz";
  return isTime ? serverTextOfTag(tag.value) : tag.value;
}

function encodeInteger(value: P2PValue, limit: bigint): string | undefined {
  if (typeof value === "number" && !Number.isInteger(value)) return undefined;
  if (typeof value !== "number" && typeof value !== "bigint") return undefined;
  if (Object.is(value, -0)) return undefined;
  const integer = BigInt(value);
  return integer >= -limit && integer < limit ? integer.toString() : undefined;
}

export function numberText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** Whether a float of four bytes prints back as this number. */
function isFloat4(value: number): boolean {
  const single = Math.fround(value);
  if (Object.is(single, value)) return true;
  if (!Number.isFinite(single)) return false;
  for (let digits = 1; digits <= 9; digits++) {
    const shown = Number(value.toPrecision(digits));
    if (Math.fround(shown) === single) return shown === value;
  }
  return false;
}

function encodeNumeric(typmod: number, value: P2PValue): string | undefined {
  if (typeof value !== "number" && typeof value !== "bigint") return undefined;
  if (Object.is(value, -0)) return undefined;
  const declared = scaleOf(typmod);
  const text = String(value);
  if (typeof value === "number" && !Number.isFinite(value)) {
    return declared === undefined || Number.isNaN(value) ? text : undefined;
  }
  return declared === undefined || fitsScale(text, declared.scale) ? text : undefined;
}

export function hexOf(value: Uint8Array): string {
  return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")}`;
}

function encodeArray(type: ColumnType, typmod: number, value: P2PValue): string | undefined {
  const { element } = type;
  if (!Array.isArray(value) || element === undefined) return asGiven(value);
  const items = value as readonly P2PValue[];
  const base = baseOf(element);
  // An array without items has no dimensions, wherever it stands.
  if (items.some((item) => Array.isArray(item) && hasEmpty(item as readonly P2PValue[]))) return undefined;
  try {
    return arrayLiteral(items, element.delimiter || type.delimiter, (item) => {
      const text = encodeAs(base, typmod, item);
      if (text === undefined) throw NO_ITEM;
      return text;
    });
  } catch (error) {
    if (error === NO_ITEM) return undefined;
    throw error;
  }
}

const NO_ITEM = new Error("An item has no form in the type of the array");

function hasEmpty(items: readonly P2PValue[]): boolean {
  return items.length === 0 || items.some((item) => Array.isArray(item) && hasEmpty(item as readonly P2PValue[]));
}

function mismatch({ name, declared }: Pick<Column, "name" | "declared">, value: P2PValue): P2PError {
  const shown = encodeJson(value);
  return new P2PError(
    "TYPE_MISMATCH",
    `The column "${name}" of type ${declared} cannot hold the ${kindOf(value)} ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown} without loss; ` +
      "change it by a transform, or the type of the column",
  );
}

function kindOf(value: P2PValue): string {
  if (value instanceof TaggedValue) return `value of type ${value.type}`;
  return isSingleObject(value) ? valueType(value) : typeof value === "object" ? valueType(value) : typeof value;
}
