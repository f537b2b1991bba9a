/** Encoders: what a column takes for a value, in the server's text form. */
import { encodeJson, isoText, P2PError, type P2PValue, TaggedValue, valueType } from "@omni/p2p-core/starter";
import type { Cell } from "../client/session.ts";
import type { Column, ColumnType } from "../client/table.ts";
import { STORE } from "../types.ts";
import { arrayLiteral } from "./arrays.ts";
import { baseOf, isFlat } from "./decode.ts";
import { isFloat4 } from "./float4.ts";
import { encodeForeignJson, fitsJsonb } from "./json.ts";
import { fitsScale, isNumberText, scaleOf } from "./numeric.ts";
import { keepsTime } from "./time-texts.ts";
import { serverTextOfDate, serverTextOfTag } from "./timestamps.ts";

/** What of a column tells which values it takes. */
export type EncodedColumn = Pick<Column, "name" | "type" | "typmod" | "declared">;

/**
 * What a column of a table that others made takes for a value.
 *
 * @throws P2PError `TYPE_MISMATCH` when it cannot hold it without loss, `INVALID_RECORD` for text with U+0000.
 */
export function encodeCell(column: EncodedColumn, value: P2PValue): Cell {
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
    const own = encodeTag(type, typmod, value);
    if (own !== undefined || !isJson(type)) return own;
  }
  if (type.kind === "array") return encodeArray(type, typmod, value);
  switch (type.kind === "base" ? type.name : "") {
    case "bool":
      return typeof value === "boolean" ? (value ? "t" : "f") : undefined;
    case "int2":
      return encodeInteger(value, -32_768n, 32_767n);
    case "int4":
      return encodeInteger(value, -2_147_483_648n, 2_147_483_647n);
    case "int8":
      return encodeInteger(value, -9_223_372_036_854_775_808n, 9_223_372_036_854_775_807n);
    case "oid":
      return encodeInteger(value, 0n, 4_294_967_295n);
    case "float4":
    case "float8":
      return encodeFloat(type.name === "float4", value);
    case "numeric":
      return encodeNumeric(typmod, value);
    case "bytea":
      return value instanceof Uint8Array ? hexOf(value) : undefined;
    case "json":
      return encodeForeignJson(value);
    case "jsonb":
      return fitsJsonb(value) ? encodeForeignJson(value) : undefined;
    case "timestamp":
    case "timestamptz":
    case "date":
    case "time":
    case "timetz":
    case "interval":
      return encodeTime(type.name, typmod, value);
    case "vector":
      return Array.isArray(value) ? encodeVector(value as readonly P2PValue[]) : asGiven(value);
    case "char":
      // The server would keep the first byte alone.
      return typeof value === "string" && /^(?:[\0-\x7f]?|\\[0-7]{3})$/.test(value) ? value : undefined;
    case "name":
      // The server would cut it.
      return typeof value === "string" && Buffer.byteLength(value) <= 63 ? value : undefined;
    case "varchar":
    case "bpchar":
      return fitsLength(scalarText(value), typmod);
    case "text":
    case "citext":
      return scalarText(value);
    case "money":
      // The server would round it.
      return typeof value === "string" && !/\.\d\d\d*[1-9]/.test(value) ? value : undefined;
    default:
      return asGiven(value);
  }
}

/** A text that the server is to judge; other values have no text of their own in such a type. */
function asGiven(value: P2PValue): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The text of a value that is no tag and no bytes, as other stores' columns of text have it. */
function scalarText(value: P2PValue): string | undefined {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
      return numberText(value);
    case "bigint":
    case "boolean":
      return String(value);
    default:
      if (value instanceof Date) return isoText(value);
      return value instanceof Uint8Array || value instanceof TaggedValue ? undefined : encodeJson(value);
  }
}

/** The server drops spaces beyond the length without a word; what else is too long it refuses. */
function fitsLength(text: string | undefined, typmod: number): string | undefined {
  const most = typmod - 4;
  if (text === undefined || typmod < 4 || text.length <= most || !text.endsWith(" ")) return text;
  // A character is of two units at most.
  return text.length <= 2 * most && [...text].length <= most ? text : undefined;
}

function isJson({ kind, name }: ColumnType): boolean {
  return kind === "base" && (name === "json" || name === "jsonb");
}

function encodeTag(type: ColumnType, typmod: number, tag: TaggedValue): string | undefined {
  const { value } = tag;
  if (typeof value !== "string" || tag.type !== `${STORE}:${type.name}`) return undefined;
  if (type.kind !== "base") return value;
  switch (type.name) {
    case "numeric":
      return fitsScale(value, scaleOf(typmod)?.scale ?? Number.POSITIVE_INFINITY) ? value : undefined;
    case "timestamp":
    case "timestamptz":
    case "time":
    case "timetz":
    case "date":
    case "interval":
      return keepsTime(type.name, typmod, value) ? serverTextOfTag(value) : undefined;
    default:
      return value;
  }
}

function encodeTime(name: string, typmod: number, value: P2PValue): string | undefined {
  if (typeof value === "string") return keepsTime(name, typmod, value) ? value : undefined;
  if (!(value instanceof Date)) return undefined;
  if (name === "date") {
    return value.getTime() % 86_400_000 === 0 ? serverTextOfDate(value)?.replace(" 00:00:00.000+00", "") : undefined;
  }
  if (name !== "timestamp" && name !== "timestamptz") return undefined;
  const isExact = typmod < 0 || typmod > 2 || value.getTime() % 10 ** (3 - typmod) === 0;
  return isExact ? serverTextOfDate(value) : undefined;
}

function encodeInteger(value: P2PValue, least: bigint, most: bigint): string | undefined {
  if (typeof value === "number") {
    if (!Number.isInteger(value) || Object.is(value, -0)) return undefined;
    if (Number.isSafeInteger(value)) return value >= least && value <= most ? String(value) : undefined;
  } else if (typeof value === "string") {
    if (value.length > 20 || value.includes(".") || !isNumberText(value)) return undefined;
  } else if (typeof value !== "bigint") return undefined;
  const integer = BigInt(value);
  return integer >= least && integer <= most ? integer.toString() : undefined;
}

function encodeFloat(single: boolean, value: P2PValue): string | undefined {
  if (typeof value === "bigint") {
    return BigInt(Number.isFinite(Number(value)) ? Number(value) : 0) === value && (!single || isFloat4(Number(value)))
      ? value.toString()
      : undefined;
  }
  const number = typeof value === "string" && String(Number(value)) === value ? Number(value) : value;
  if (typeof number !== "number" || (single && !isFloat4(number))) return undefined;
  return numberText(number);
}

export function numberText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** A vector of pgvector, which has no NaN and no infinities. */
function encodeVector(items: readonly P2PValue[]): string | undefined {
  const isFit = (item: P2PValue) => typeof item === "number" && Number.isFinite(item) && isFloat4(item);
  return items.every(isFit) ? `[${(items as readonly number[]).map(numberText).join(",")}]` : undefined;
}

function encodeNumeric(typmod: number, value: P2PValue): string | undefined {
  if (typeof value !== "number" && typeof value !== "bigint" && typeof value !== "string") return undefined;
  if (Object.is(value, -0) || (typeof value === "string" && !isNumberText(value))) return undefined;
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
  const flat = isFlat(type);
  // An array without items has no dimensions, wherever it stands.
  if (!flat && items.some((item) => Array.isArray(item) && hasEmpty(item as readonly P2PValue[]))) return undefined;
  try {
    return arrayLiteral(items, element.delimiter || type.delimiter, flat, (item) => {
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

/** Why a column cannot hold a value. */
export function mismatch({ name, declared }: EncodedColumn, value: P2PValue): P2PError {
  const shown = encodeJson(value);
  return new P2PError(
    "TYPE_MISMATCH",
    `The column "${name}" of type ${declared} cannot hold the ${kindOf(value)} ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown} without loss; ` +
      "change it by a transform, or the type of the column",
  );
}

function kindOf(value: P2PValue): string {
  return value instanceof TaggedValue ? `value of type ${value.type}` : valueType(value);
}
