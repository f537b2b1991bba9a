/** Decoders: what the value of a column of Parquet is as a value of a record. */
import { cloneValue, hasPlainYear, isoText, type P2PValue, setField, TaggedValue } from "@omni/p2p-core/starter";
import type { SchemaElement, SchemaTree, TimeUnit } from "hyparquet";
import { valueOfJson } from "../values/json-text.ts";
import type { ColumnHint } from "./parquet-schema.ts";

/** Makes a value of what the reader gave, which is neither null nor undefined. */
type Decoder = (raw: never) => P2PValue;

const MAX_TIME = 8_640_000_000_000_000;

/** The decoder of a column. @param hint what this starter noted of it when it wrote the file. */
export function decoderOf(column: SchemaTree, hint: ColumnHint | undefined): (raw: unknown) => P2PValue {
  const decode = hintedDecoder(hint) ?? decoderOfTree(column);
  return (raw) => (raw === null || raw === undefined ? null : decode(raw as never));
}

function hintedDecoder(hint: ColumnHint | undefined): Decoder | undefined {
  if (hint?.kind === "number") return (raw: number | bigint) => Number(raw);
  if (hint?.kind === "bigint")
    return (raw: number | bigint | Uint8Array) => (raw instanceof Uint8Array ? unscaled(raw) : BigInt(raw));
  return undefined;
}

function decoderOfTree(tree: SchemaTree): Decoder {
  const { element, children } = tree;
  if (element.logical_type?.type === "VARIANT") return plain;
  const decode = element.converted_type === "MAP" ? mapDecoder(tree) : listDecoder(tree);
  if (decode !== undefined) return decode;
  const inner = children.length > 0 ? structDecoder(children) : leafDecoder(element);
  // Repeated without the annotation of a list, as protocol buffers are written.
  return element.repetition_type === "REPEATED" ? (raw: ArrayLike<unknown>) => listOf(raw, inner) : inner;
}

const orNull = (decode: Decoder, raw: unknown): P2PValue =>
  raw === null || raw === undefined ? null : decode(raw as never);

function listOf(raw: ArrayLike<unknown>, decode: Decoder): P2PValue {
  return Array.from(raw, (item) => orNull(decode, item));
}

function listDecoder({ element, children }: SchemaTree): Decoder | undefined {
  const middle = children[0];
  if (element.converted_type !== "LIST" || children.length !== 1 || middle?.element.repetition_type !== "REPEATED")
    return undefined;
  if (middle.children.length > 1) return undefined;
  const item = middle.children[0] ?? {
    ...middle,
    element: { ...middle.element, repetition_type: "REQUIRED" as const },
  };
  const decode = decoderOfTree(item);
  return (raw: ArrayLike<unknown>) => listOf(raw, decode);
}

function mapDecoder({ children }: SchemaTree): Decoder | undefined {
  const value = children[0]?.children[1];
  if (value === undefined) return undefined;
  const decode = decoderOfTree(value);
  return (raw: Readonly<Record<string, unknown>>) => {
    const map: Record<string, P2PValue> = {};
    for (const [key, inner] of Object.entries(raw)) setField(map, key, orNull(decode, inner));
    return map;
  };
}

function structDecoder(children: readonly SchemaTree[]): Decoder {
  const fields = children.map((child) => [child.element.name, decoderOfTree(child)] as const);
  return (raw: Readonly<Record<string, unknown>>) => {
    const struct: Record<string, P2PValue> = {};
    for (const [name, decode] of fields) setField(struct, name, orNull(decode, raw[name]));
    return struct;
  };
}

function leafDecoder(element: SchemaElement): Decoder {
  const { type, converted_type: converted, logical_type: logical } = element;
  switch (logical?.type) {
    case "DECIMAL": {
      const { scale } = logical;
      return (raw: number | bigint | Uint8Array) =>
        decimal(raw instanceof Uint8Array ? unscaled(raw) : BigInt(raw), scale);
    }
    case "TIMESTAMP":
      return momentDecoder(logical.unit);
    case "TIME":
      return timeDecoder(logical.unit);
    case "INTERVAL":
      return (raw: Uint8Array) => interval(raw);
    case "JSON":
      return json;
    case "DATE":
      return (days: number) => date(BigInt(days) * 86_400_000n);
    default:
  }
  if (converted === "TIMESTAMP_MILLIS") return momentDecoder("MILLIS");
  if (converted === "TIMESTAMP_MICROS") return momentDecoder("MICROS");
  if (converted === "DATE") return (days: number) => date(BigInt(days) * 86_400_000n);
  if (converted === "JSON") return json;
  if (type === "INT96") return momentDecoder("NANOS");
  if (type === "INT64") return integer;
  if (type === "BYTE_ARRAY" || type === "FIXED_LEN_BYTE_ARRAY") return (raw) => plain(raw);
  return (raw) => raw;
}

/** A number where it is exact, else a bigint. */
function integer(raw: bigint): P2PValue {
  const number = Number(raw);
  return Number.isSafeInteger(number) ? number : raw;
}

/** The integer of bytes in two's complement, the highest first. */
function unscaled(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
}

/** A number where it says the decimal, a bigint where it is whole and larger than that, else its text. */
function decimal(digits: bigint, scale: number): P2PValue {
  if (scale <= 0) return integer(digits * 10n ** BigInt(-scale));
  const sign = digits < 0n ? "-" : "";
  const padded = String(digits < 0n ? -digits : digits).padStart(scale + 1, "0");
  const whole = padded.slice(0, -scale);
  const fraction = withoutZeros(padded.slice(-scale));
  if (fraction === "") return integer(BigInt(sign + whole));
  const text = `${sign}${whole}.${fraction}`;
  const number = Number(text);
  const significant = (whole + fraction).replace(/^0+/, "").length;
  return significant <= 15 || String(number) === text ? number : new TaggedValue("parquet:decimal", text);
}

/** Without the zeros at the end: an expression would look at each run of zeros from each of them on. */
function withoutZeros(fraction: string): string {
  let end = fraction.length;
  while (end > 0 && fraction[end - 1] === "0") end--;
  return fraction.slice(0, end);
}

const PER_MILLISECOND: Readonly<Record<TimeUnit, bigint>> = { MILLIS: 1n, MICROS: 1000n, NANOS: 1_000_000n };
const DIGITS: Readonly<Record<TimeUnit, number>> = { MILLIS: 3, MICROS: 6, NANOS: 9 };

function date(milliseconds: bigint): P2PValue {
  const time = Number(milliseconds);
  return Math.abs(time) <= MAX_TIME ? new Date(time) : new TaggedValue("parquet:timestamp", `${milliseconds} ms`);
}

/** A date where milliseconds say the moment; else its text, with all digits. */
function momentDecoder(unit: TimeUnit): Decoder {
  const per = PER_MILLISECOND[unit];
  return (raw: number | bigint) => {
    const moment = BigInt(raw);
    const rest = ((moment % per) + per) % per;
    const milliseconds = (moment - rest) / per;
    const time = Number(milliseconds);
    if (rest === 0n || !hasPlainYear(time)) return date(milliseconds);
    const finer = String(rest).padStart(DIGITS[unit] - 3, "0");
    return new TaggedValue("parquet:timestamp", isoText(new Date(time)).replace("Z", `${finer}Z`));
  };
}

/** A time of day, as text with a tag. */
function timeDecoder(unit: TimeUnit): Decoder {
  const per = PER_MILLISECOND[unit];
  return (raw: number | bigint) => {
    const time = BigInt(raw);
    const finer = String(time % per)
      .padStart(DIGITS[unit] - 3, "0")
      .slice(0, DIGITS[unit] - 3);
    return new TaggedValue("parquet:time", `${new Date(Number(time / per)).toISOString().slice(11, 23)}${finer}`);
  };
}

/** Months, days and milliseconds, as ISO 8601 has them. */
function interval(raw: Uint8Array): P2PValue {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const [months, days, milliseconds] = [0, 4, 8].map((at) => view.getUint32(at, true));
  return new TaggedValue("parquet:interval", `P${months}M${days}DT${milliseconds! / 1000}S`);
}

function json(raw: Uint8Array | string): P2PValue {
  const text = typeof raw === "string" ? raw : Buffer.from(raw).toString("utf8");
  try {
    return valueOfJson(text);
  } catch {
    // It says that it is JSON, and is not.
    return text;
  }
}

/** A value of its own: what the reader gives is shared by all rows that have it. */
function plain(raw: unknown): P2PValue {
  if (raw === undefined) return null;
  if (raw instanceof Uint8Array) return new Uint8Array(raw);
  if (Array.isArray(raw)) return raw.map(plain);
  if (typeof raw !== "object" || raw === null || raw instanceof Date) return cloneValue(raw as P2PValue);
  const object: Record<string, P2PValue> = {};
  for (const [key, inner] of Object.entries(raw)) setField(object, key, plain(inner));
  return object;
}
