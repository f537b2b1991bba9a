import type { P2PValue } from "@omni/p2p-core";
import { dateOfText, fromBase64 } from "@omni/p2p-core/starter";
import { UsageError } from "../usage-error.ts";

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const BIGINT = /^-?\d+n$/;
/** As many as a record may have in a bigint. */
const MAX_DIGITS = 20_000;
/** What `date:` takes: ISO 8601 with a four-digit or a signed six-digit year. */
const DATE = /^([+-]\d{6}|\d{4})-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/;

/**
 * A value as it is typed. `true`, `false`, `null` and numbers are what they look like (a whole number beyond 2^53, or
 * one with an `n` at its end, is a bigint); `date:` and `bytes:` name their type; `text:` or double quotes make text
 * of whatever follows; all else is text.
 */
export function parseValue(text: string): P2PValue {
  if (text === "null") return null;
  if (text === "true" || text === "false") return text === "true";
  if (text.length > MAX_DIGITS && /^-?\d+n?$/.test(text)) {
    throw new UsageError(`A whole number of ${text.length} digits is too long; ${MAX_DIGITS} is the most`);
  }
  if (BIGINT.test(text)) return BigInt(text.slice(0, -1));
  if (NUMBER.test(text)) return parseNumber(text);
  if (text.startsWith("date:")) return parseDate(text.slice("date:".length));
  if (text.startsWith("bytes:")) return parseBytes(text.slice("bytes:".length));
  return parseText(text, "a value");
}

/** A value that can only be text: quotes and `text:` are taken off. */
export function parseText(text: string, what: string): string {
  if (text.startsWith("text:")) return text.slice("text:".length);
  if (!text.startsWith('"')) return text;
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "string") return parsed;
  } catch {}
  throw new UsageError(
    `${text} is not ${what} in double quotes; inside them write \\" for a quote and \\\\ for a backslash`,
  );
}

/** Values in brackets, separated by commas; a value with a comma or a bracket in it stands in double quotes. */
export function parseList(text: string): P2PValue[] {
  if (!text.endsWith("]"))
    throw new UsageError(`The list ${text} has no closing bracket; quote it for your shell: '${text}]'`);
  const inner = text.slice(1, -1).trim();
  if (inner === "") return [];
  const items = inner.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+|,/g) ?? [];
  const values = items.filter((item) => item !== ",");
  if (values.length !== items.length - values.length + 1) {
    throw new UsageError(`The list ${text} has an empty value in it; write "" for an empty text`);
  }
  return values.map((item) => parseValue(item.trim()));
}

function parseNumber(text: string): number | bigint {
  const number = Number(text);
  return /^-?\d+$/.test(text) && !Number.isSafeInteger(number) ? BigInt(text) : number;
}

function parseDate(text: string): Date {
  const date = DATE.test(text) ? dateOfText(text) : undefined;
  if (date !== undefined) return date;
  throw new UsageError(`"${text}" is not a date; write date:2024-01-31 or date:2024-01-31T12:00:00Z`);
}

function parseBytes(text: string): Uint8Array {
  if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return fromBase64(text);
  throw new UsageError(`"${text}" is not base64; write bytes:AAEC`);
}
