/** Decoders: what the server's text of a cell is as a value. */
import { decodeJson, P2PError, type P2PValue, TaggedValue } from "@omni/p2p-core/starter";
import type { Column, ColumnType } from "../client/table.ts";
import { STORE } from "../types.ts";
import { type ArrayItems, hasBounds, parseArray } from "./arrays.ts";
import { exactNumber, scaleOf } from "./numeric.ts";
import { dateOfServerText, isoOfServerText } from "./timestamps.ts";

/** Makes a value of the text of a cell that is not NULL. @throws P2PError `INVALID_RECORD` */
export type Decoder = (text: string) => P2PValue;

/** How values come for which JavaScript has no type: as tags, or `plain` as text and numbers. */
export interface DecodeOptions {
  readonly plain: boolean;
}

/** Types whose text is the value, as JavaScript has it. */
const TEXTS: ReadonlySet<string> = new Set(["text", "varchar", "bpchar", "char", "name", "citext", "uuid"]);

/** The type that the values of a column have: of a domain the one under it. */
export function baseOf(type: ColumnType): ColumnType {
  return type.base ?? type;
}

/** Whether the server's texts of a type are strings here. */
export function isTextType(type: ColumnType): boolean {
  return TEXTS.has(baseOf(type).name) || baseOf(type).kind === "enum";
}

/** The decoder of a column of a table that others made, or of a query. */
export function decoderOf({ type, typmod }: Pick<Column, "type" | "typmod">, options: DecodeOptions): Decoder {
  return decoderOfType(baseOf(type), typmod, options);
}

/** The decoder of a column of a table of ours. Its decimals are bigints, however small. */
export function ownDecoderOf(column: Pick<Column, "type" | "typmod">, options: DecodeOptions): Decoder {
  if (baseOf(column.type).name !== "numeric") return decoderOf(column, options);
  const foreign = decoderOf(column, options);
  return (text) => (WHOLE.test(text) ? BigInt(text) : foreign(text));
}

const WHOLE = /^-?\d+$/;

const asText: Decoder = (text) => text;

function decoderOfType(type: ColumnType, typmod: number, options: DecodeOptions): Decoder {
  if (type.kind === "array") return arrayDecoder(type, typmod, options);
  if (isTextType(type)) return asText;
  const tag = tagger(type.name, options);
  switch (type.kind === "base" ? type.name : "") {
    case "bool":
      return (text) => text === "t";
    case "int2":
    case "int4":
    case "oid":
    case "float4":
    case "float8":
      return Number;
    case "int8":
      return integer;
    case "numeric": {
      const scaled = (scaleOf(typmod)?.scale ?? 0) > 0;
      return (text) => exactNumber(text, scaled) ?? tag(text);
    }
    case "bytea":
      return bytes;
    case "json":
    case "jsonb":
      return json;
    case "timestamp":
    case "timestamptz":
      return (text) => dateOfServerText(text) ?? tag(isoOfServerText(text) ?? text);
    case "vector":
      return (text) => vector(text) ?? tag(text);
    default:
      return tag;
  }
}

function tagger(name: string, { plain }: DecodeOptions): Decoder {
  const type = `${STORE}:${name}`;
  return plain ? asText : (text) => new TaggedValue(type, text);
}

function integer(text: string): P2PValue {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

function bytes(text: string): P2PValue {
  if (!text.startsWith("\\x")) throw new P2PError("INVALID_RECORD", 'The server gave bytes in the form "escape"');
  return new Uint8Array(Buffer.from(text.slice(2), "hex"));
}

function json(text: string): P2PValue {
  return decodeJson(text);
}

/** A vector of pgvector, which is written as JSON writes a list of numbers. */
function vector(text: string): P2PValue | undefined {
  if (!/^\[[\d.,eE+-]*\]$/.test(text)) return undefined;
  return text === "[]" ? [] : text.slice(1, -1).split(",").map(Number);
}

function arrayDecoder(type: ColumnType, typmod: number, options: DecodeOptions): Decoder {
  const { element, delimiter } = type;
  if (element === undefined) return tagger(type.name, options);
  const decode = decoderOfType(baseOf(element), typmod, options);
  const separator = element.delimiter || delimiter;
  const tag = tagger(type.name, options);
  const list = (items: ArrayItems): P2PValue[] =>
    items.map((item) => (item === null ? null : typeof item === "string" ? decode(item) : list(item)));
  return (text) => {
    if (hasBounds(text)) return tag(text);
    const items = parseArray(text, separator);
    if (items === undefined) throw new P2PError("INVALID_RECORD", "The server gave an array that is none");
    return list(items);
  };
}
