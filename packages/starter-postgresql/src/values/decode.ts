/** Decoders: what the server's text of a cell is as a value. */
import { P2PError, type P2PValue, TaggedValue } from "@omni/p2p-core/starter";
import type { Column, ColumnType } from "../client/table.ts";
import { STORE } from "../types.ts";
import { type ArrayItems, hasBounds, parseArray } from "./arrays.ts";
import { decodeJsonCell, type JsonReading } from "./json.ts";
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
  const { kind, name } = baseOf(type);
  return kind === "enum" || (kind === "base" && TEXTS.has(name));
}

/** Types whose values may be lists, so that lists of them could not be told from arrays of more dimensions. */
const LISTS: ReadonlySet<string> = new Set(["json", "jsonb", "vector"]);

/** Whether an array of this type has one dimension wherever it comes as a list: its items may be lists themselves. */
export function isFlat({ element }: ColumnType): boolean {
  if (element === undefined) return false;
  const { kind, name } = baseOf(element);
  return kind === "array" || (kind === "base" && LISTS.has(name));
}

/** The decoder of a column of a table that others made, or of a query. */
export function decoderOf({ type, typmod }: Pick<Column, "type" | "typmod">, { plain }: DecodeOptions): Decoder {
  return decoderOfType(baseOf(type), typmod, { plain, own: false, depth: 0 });
}

/** The decoder of a column of a table of ours. Its decimals are bigints, however small. */
export function ownDecoderOf({ type, typmod }: Pick<Column, "type" | "typmod">, { plain }: DecodeOptions): Decoder {
  const decode = decoderOfType(baseOf(type), typmod, { plain, own: true, depth: 0 });
  if (baseOf(type).name !== "numeric") return decode;
  return (text) => {
    const value = decode(text);
    // Others may have given the column a scale, which adds zeros.
    return Number.isInteger(value) ? BigInt(text.split(".", 1)[0]!) : value;
  };
}

type Reading = Omit<JsonReading, "isText">;

const asText: Decoder = (text) => text;

function decoderOfType(type: ColumnType, typmod: number, reading: Reading): Decoder {
  if (type.kind === "array") return arrayDecoder(type, typmod, reading);
  if (isTextType(type)) return asText;
  const tag = tagger(type.name, reading);
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
    case "jsonb": {
      const options = { ...reading, isText: type.name === "json" };
      return (text) => {
        const value = decodeJsonCell(text, options);
        return value === undefined ? tag(text) : value;
      };
    }
    case "timestamp":
    case "timestamptz":
      return (text) => dateOfServerText(text) ?? tag(isoOfServerText(text) ?? text);
    case "vector":
      return (text) => vector(text) ?? tag(text);
    default:
      return tag;
  }
}

function tagger(name: string, { plain }: Reading): Decoder {
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

/** A vector of pgvector, which is written as JSON writes a list of numbers. */
function vector(text: string): P2PValue | undefined {
  if (!/^\[[\d.,eE+-]*\]$/.test(text)) return undefined;
  return text === "[]" ? [] : text.slice(1, -1).split(",").map(Number);
}

function arrayDecoder(type: ColumnType, typmod: number, reading: Reading): Decoder {
  const { element, delimiter } = type;
  const tag = tagger(type.name, reading);
  if (element === undefined) return tag;
  const decode = decoderOfType(baseOf(element), typmod, { ...reading, depth: reading.depth + 1 });
  const separator = element.delimiter || delimiter;
  const list = (items: ArrayItems): P2PValue[] =>
    items.map((item) => (item === null ? null : typeof item === "string" ? decode(item) : list(item)));
  const flat = isFlat(type);
  return (text) => {
    if (hasBounds(text)) return tag(text);
    const items = parseArray(text, separator);
    if (items === undefined) throw new P2PError("INVALID_RECORD", "The server gave an array that is none");
    return flat && Array.isArray(items[0]) ? tag(text) : list(items);
  };
}
