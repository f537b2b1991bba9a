import { isUtf8 } from "node:buffer";

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
