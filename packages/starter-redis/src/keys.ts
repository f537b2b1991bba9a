import { isUtf8 } from "node:buffer";
import { compareStrings, type JsonValue, P2PError } from "@omni/p2p-core";

/** The name of a key. Bytes only where they are not valid UTF-8. */
export type Key = string | Buffer;

/** Makes a key of bytes that are part of a reply. */
export function toKey(bytes: Buffer): Key {
  return isUtf8(bytes) ? bytes.toString() : Buffer.from(bytes);
}

/** Orders keys by their bytes, which for text is the order of code points. */
export function compareKeys(a: Key, b: Key): number {
  if (typeof a === "string" && typeof b === "string") return compareStrings(a, b);
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
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
  throw new P2PError("CHECKPOINT_INVALID", "The cursor is not one of a Redis source; start the transfer anew");
}

/** Escapes what means something in a pattern of SCAN. */
export function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, "\\$&");
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** A fingerprint of the first keys of a page: FNV-1a, 32 bits. */
export function fingerprintKeys(keys: readonly Key[], count: number): number {
  let hash = FNV_OFFSET;
  for (let i = 0; i < count; i++) {
    const key = keys[i]!;
    for (let j = 0; j < key.length; j++) {
      hash = Math.imul(hash ^ (typeof key === "string" ? key.charCodeAt(j) : key[j]!), FNV_PRIME);
    }
    hash = Math.imul(hash ^ 0xff, FNV_PRIME);
  }
  return hash >>> 0;
}
