import { P2PError } from "../errors.ts";
import type { JsonValue } from "./json-value.ts";

/** Bytes as standard base64 text. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** Bytes from standard base64 text, in memory of their own. */
export function fromBase64(payload: JsonValue): Uint8Array {
  if (typeof payload !== "string") throw new P2PError("INVALID_RECORD", "Binary data must be base64 text");
  return new Uint8Array(Buffer.from(payload, "base64"));
}
