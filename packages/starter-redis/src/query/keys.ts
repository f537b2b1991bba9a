import { isUtf8 } from "node:buffer";
import { foreignCursor, type JsonValue } from "@omni/p2p-core/starter";

/** The storage type, which marks the cursors. */
export const STORE = "redis";

/** The name of a key. Bytes only where they are not valid UTF-8. */
export type Key = string | Buffer;

/** What the decoder of UTF-8 puts where bytes are none. To look for it costs less than to look at the bytes first. */
export const REPLACEMENT = "\ufffd";

/** Makes a key of bytes that are part of a reply. */
export function toKey(bytes: Buffer): Key {
  const text = bytes.toString();
  return text.includes(REPLACEMENT) && !isUtf8(bytes) ? Buffer.from(bytes) : text;
}

/**
 * Orders keys: text by its UTF-16 units, which costs the least, and bytes that are no text after it. Any order would
 * do that is the same everywhere and always.
 */
export function compareKeys(a: Key, b: Key): number {
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a !== "string" && typeof b !== "string") return Buffer.compare(a, b);
  return typeof a === "string" ? -1 : 1;
}

/** Sorts keys in place as {@link compareKeys} does. */
export function sortKeys(keys: Key[]): Key[] {
  return keys.every((key) => typeof key === "string") ? keys.sort() : keys.sort(compareKeys);
}

/** A key without its prefix. */
export function keySuffix(key: Key, prefix: string): Key {
  if (typeof key === "string") return key.slice(prefix.length);
  return key.subarray(Buffer.byteLength(prefix));
}

/** A text that no other key has, for sets. */
export function keyName(key: Key): string {
  return typeof key === "string" ? key : `\0${key.toString("hex")}`;
}

/** A key for people. */
export function keyText(key: Key): string {
  return typeof key === "string" ? key : `0x${key.toString("hex")}`;
}

/** A key as JSON, for cursors. */
export function keyToJson(key: Key): JsonValue {
  return typeof key === "string" ? key : { hex: key.toString("hex") };
}

/** Reads what {@link keyToJson} made. */
export function keyFromJson(json: JsonValue): Key {
  if (typeof json === "string") return json;
  const hex = (json as { readonly hex?: unknown } | null)?.hex;
  if (typeof hex === "string") return Buffer.from(hex, "hex");
  throw foreignCursor(STORE);
}

/** Escapes what means something in a pattern of SCAN. */
export function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, "\\$&");
}

/** V8 has several kinds of strings, and looks the method up anew for each of them when it is named at the place of use. */
const { charCodeAt } = String.prototype;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const END_OF_KEY = 0xd800;

/**
 * A fingerprint of keys in their order: FNV-1a, 32 bits.
 *
 * @param before the fingerprint of the keys before them, where there are any
 */
export function fingerprintKeys(keys: readonly Key[], from: number, to: number, before = FNV_OFFSET): number {
  let hash = before;
  for (let i = from; i < to; i++) {
    const key = keys[i]!;
    const text = typeof key === "string" ? key : key.toString("latin1");
    const { length } = text;
    for (let j = 0; j < length; j++) hash = Math.imul(hash ^ charCodeAt.call(text, j), FNV_PRIME);
    hash = Math.imul(hash ^ END_OF_KEY, FNV_PRIME);
  }
  return hash >>> 0;
}
