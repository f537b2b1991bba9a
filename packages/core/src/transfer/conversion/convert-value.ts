/** Type conversions of values, each exact: a value either becomes the same thing in the other type, or it does not fit. */
import type { ConversionType } from "../../config.ts";
import { fromBase64, base64 as toBase64 } from "../../model/base64.ts";
import { isoText } from "../../model/iso-date.ts";
import { encodeJson } from "../../model/json.ts";
import { type P2PValue, TaggedValue, valueType } from "../../model/value-tree.ts";
import { valueOfJson } from "./exact-json.ts";
import { decimalParts, exactDouble, exactInteger, wholeValue } from "./exact-number.ts";
import { instantOf } from "./instant.ts";

/** Why a value does not fit, as the end of a sentence that begins with it. */
export class Misfit {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

type Converter = (value: P2PValue) => P2PValue | Misfit;

const NO_DATE = "is no date or time of ISO 8601 or SQL (2024-01-31, 2024-01-31 08:15:00, 2024-01-31T08:15:00+02:00)";

function instant(value: P2PValue): { readonly ms: number; readonly nanoseconds: number } | Misfit {
  if (value instanceof Date) return { ms: value.getTime(), nanoseconds: 0 };
  const text =
    value instanceof TaggedValue && /^postgresql:(?:timestamptz?|date)$/.test(value.type) ? value.value : value;
  if (typeof text !== "string") return new Misfit(`is a ${valueType(value)}, and no text of a date`);
  return instantOf(text) ?? new Misfit(NO_DATE);
}

function date(value: P2PValue): Date | Misfit {
  const found = instant(value);
  if (found instanceof Misfit) return found;
  return found.nanoseconds === 0
    ? new Date(found.ms)
    : new Misfit("has more than milliseconds, which a date would lose; timestamp keeps them");
}

/** Microseconds are in the tag that PostgreSQL's own have, since no `Date` can say them. */
function timestamp(value: P2PValue): P2PValue | Misfit {
  const found = instant(value);
  if (found instanceof Misfit) return found;
  if (found.nanoseconds === 0) return new Date(found.ms);
  if (found.nanoseconds % 1000 !== 0) return new Misfit("has more than microseconds, which would be lost");
  const text = isoText(new Date(found.ms)).slice(0, -1);
  if (!/^\d{4}-/.test(text)) return new Misfit("has microseconds in a year that is not from 0 to 9999");
  const micros = String(found.nanoseconds / 1000)
    .padStart(3, "0")
    .replace(/0+$/, "");
  return new TaggedValue("postgresql:timestamptz", `${text}${micros}Z`);
}

function epoch(unit: "seconds" | "milliseconds"): Converter {
  return (value) => {
    if (value instanceof Date) return value;
    const text = numberText(value);
    const parts = text === undefined ? undefined : decimalParts(text);
    if (parts === undefined) return new Misfit(`is no number of ${unit} since 1970`);
    const whole = exactInteger(unit === "seconds" ? `${text!.replace(/e.*/i, "")}e${exponentOf(text!) + 3}` : text!);
    if (whole === undefined) return new Misfit("has more than milliseconds, which a date would lose");
    if (whole > 8_640_000_000_000_000n || whole < -8_640_000_000_000_000n)
      return new Misfit("is beyond what a date can be");
    return new Date(Number(whole));
  };
}

function exponentOf(text: string): number {
  return Number(/e([+-]?\d+)$/i.exec(text)?.[1] ?? 0);
}

/** The decimal that a value is, as text; `undefined` where it is none. */
function numberText(value: P2PValue): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number")
    return Number.isFinite(value) ? (Object.is(value, -0) ? "-0" : String(value)) : undefined;
  if (value instanceof TaggedValue && DECIMAL_TAGS.has(value.type) && typeof value.value === "string")
    return value.value;
  return undefined;
}

const DECIMAL_TAGS = new Set(["postgresql:numeric", "mongodb:decimal128"]);

function noNumber(value: P2PValue): Misfit {
  return new Misfit(typeof value === "string" ? "is no number" : `is a ${valueType(value)}, and no number`);
}

function number(value: P2PValue): number | Misfit {
  if (typeof value === "number") return value;
  const text = numberText(value);
  if (text === undefined || decimalParts(text) === undefined) return noNumber(value);
  return exactDouble(text) ?? new Misfit("would be rounded as a number; integer, bigint or decimal keep it");
}

function bigint(value: P2PValue): bigint | Misfit {
  if (typeof value === "bigint") return value;
  const text = numberText(value);
  if (text === undefined || decimalParts(text) === undefined) return noNumber(value);
  return exactInteger(text) ?? new Misfit("is no whole number");
}

function integer(value: P2PValue): number | bigint | Misfit {
  const whole = bigint(value);
  return whole instanceof Misfit ? whole : wholeValue(whole);
}

/** As PostgreSQL's `numeric` is read: a number or a bigint where that says it, else the tag of its text, with its scale. */
function decimal(value: P2PValue): P2PValue | Misfit {
  if (typeof value === "bigint" || (typeof value === "number" && Number.isFinite(value))) return value;
  const text = numberText(value);
  const parts = text === undefined ? undefined : decimalParts(text);
  if (text === undefined || parts === undefined) return noNumber(value);
  if (/e/i.test(text))
    return exactDouble(text) ?? exactInteger(text) ?? new Misfit("is a decimal with an exponent; write it out");
  const [, whole = "", fraction = ""] = /^[+-]?(\d*)(?:\.(\d*))?$/.exec(text)!;
  if (fraction === "") {
    const found = exactInteger(text);
    return found === undefined ? new Misfit("has more digits than a record may have") : wholeValue(found);
  }
  const plain = `${parts.digits === "" ? "" : parts.sign}${whole.replace(/^0+(?=\d)/, "") || "0"}.${fraction}`;
  const exact = fraction.endsWith("0") ? undefined : exactDouble(plain);
  return exact ?? new TaggedValue("postgresql:numeric", plain);
}

const TRUE = /^(?:true|t|yes|y|on|1)$/i;
const FALSE = /^(?:false|f|no|n|off|0)$/i;

function boolean(value: P2PValue): boolean | Misfit {
  if (typeof value === "boolean") return value;
  const text = typeof value === "number" || typeof value === "bigint" ? String(value) : value;
  if (typeof text === "string" && TRUE.test(text)) return true;
  if (typeof text === "string" && FALSE.test(text)) return false;
  return new Misfit("is neither true nor false (true, t, yes, y, on, 1; false, f, no, n, off, 0)");
}

function text(value: P2PValue): string | Misfit {
  switch (valueType(value)) {
    case "string":
      return value as string;
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
    case "boolean":
      return String(value);
    case "date":
      return (value as Date).toISOString();
    case "tagged":
      return String(value);
    case "array":
    case "object":
      return encodeJson(value);
    case "bytes":
      return utf8Text(value as Uint8Array) ?? new Misfit("are bytes of no text in UTF-8");
    default:
      return new Misfit(`is a ${valueType(value)}, and no text`);
  }
}

function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function json(value: P2PValue): P2PValue | Misfit {
  if (typeof value !== "string") return value;
  const found = valueOfJson(value);
  return "value" in found ? found.value : new Misfit(found.trouble);
}

const HEX = /^(?:\\x|0x)?((?:[0-9a-f]{2})*)$/i;

function hex(value: P2PValue): Uint8Array | Misfit {
  if (value instanceof Uint8Array) return value;
  const digits = typeof value === "string" ? HEX.exec(value)?.[1] : undefined;
  return digits === undefined
    ? new Misfit("is no text of hexadecimal digits")
    : new Uint8Array(Buffer.from(digits, "hex"));
}

function base64(value: P2PValue): Uint8Array | Misfit {
  if (value instanceof Uint8Array) return value;
  const bytes = typeof value === "string" ? fromBase64(value) : undefined;
  // Node's own reading of it passes over what is none.
  return bytes !== undefined && toBase64(bytes) === value ? bytes : new Misfit("is no text in base64");
}

const CONVERTERS: Readonly<Record<ConversionType, Converter>> = {
  date,
  timestamp,
  "epoch-s": epoch("seconds"),
  "epoch-ms": epoch("milliseconds"),
  number,
  integer,
  bigint,
  decimal,
  boolean,
  text,
  json,
  base64,
  hex,
};

/** The value as a value of the type; null stays null. */
export function convertValue(value: P2PValue, type: ConversionType): P2PValue | Misfit {
  return value === null ? null : CONVERTERS[type](value);
}
