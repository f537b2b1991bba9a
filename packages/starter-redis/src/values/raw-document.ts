import { isUtf8 } from "node:buffer";
import { JSON_TAG, type P2PRecord, setField } from "@omni/p2p-core/starter";
import { type Key, keySuffix, REPLACEMENT } from "../client/keys.ts";
import type { RedisEndpoint } from "../endpoint.ts";
import { decodeJsonText, UNICODE_ESCAPE } from "./json-record.ts";
import type { Fetched } from "./key-value.ts";

/**
 * The JSON text of a record, on its way to another Redis as it is. A class, as in `writing/packed-record.ts`, for the sake
 * of the garbage collector.
 */
export class RedisText {
  /** The key without the prefix of the source: the text of the id. */
  readonly suffix: string;
  readonly text: string;
  /** When the key expires, in ms since 1970. */
  readonly expiry: number | undefined;

  constructor(suffix: string, text: string, expiry: number | undefined) {
    this.suffix = suffix;
    this.text = text;
    this.expiry = expiry;
  }
}

/** What the raw lane carries: texts, and records where the text is not all, or not certain to be one. */
export type RedisDocument = RedisText | { readonly record: P2PRecord };

/** The form of the documents; the same at both ends means that a text is the same record at both. */
export function rawFormat({ ttlField }: RedisEndpoint): string {
  return `redis:json${ttlField === undefined ? "" : `?ttlField=${encodeURIComponent(ttlField)}`}`;
}

/** Tags that are whole and sound, of the kinds that are found most. */
const CERTAIN_TAG = new RegExp(
  `\\{"${JSON_TAG.replace("$", "\\$")}":"(?:` +
    'date","value":"\\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)' +
    'T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d\\.\\d{3}Z"|' +
    'bigint","value":"-?\\d+")\\}',
  "g",
);

/** Brackets in a text that cannot be nested too deeply, at most. */
const FEW_BRACKETS = 90;

/**
 * The text under a key, when it is sure to be read as the record that would have been written for it; else
 * `undefined`. Whether it is JSON need not be known: what is none is the same text to whoever reads the copy.
 */
export function toDocument(
  key: Key,
  fetched: Fetched,
  expiry: number | undefined,
  { prefix, ttlField }: RedisEndpoint,
): RedisText | undefined {
  if (typeof key !== "string" || fetched === undefined || fetched instanceof Error) return undefined;
  if (fetched.type !== "string" || key.length === prefix.length) return undefined;
  const text = fetched.value.toString();
  if (!text.startsWith("{") || text.includes(UNICODE_ESCAPE)) return undefined;
  if (text.includes(REPLACEMENT) && !isUtf8(fetched.value)) return undefined;
  if (text.includes(JSON_TAG) && !hasCertainTags(text)) return undefined;
  if (ttlField !== undefined && text.includes(JSON.stringify(ttlField).slice(1, -1))) return undefined;
  if (countOf("{", text) + countOf("[", text) > FEW_BRACKETS) return undefined;
  return new RedisText(keySuffix(key, prefix) as string, text, expiry);
}

function hasCertainTags(text: string): boolean {
  return countOf(JSON_TAG, text) === text.match(CERTAIN_TAG)?.length;
}

function countOf(part: string, text: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

/** The record that a document is. */
export function recordOf(document: RedisDocument, { ttlField }: RedisEndpoint): P2PRecord {
  if ("record" in document) return document.record;
  const record = decodeJsonText(document.text, document.suffix);
  if (document.expiry !== undefined && ttlField !== undefined) {
    setField(record as unknown as Record<string, unknown>, ttlField, new Date(document.expiry));
  }
  return record;
}
