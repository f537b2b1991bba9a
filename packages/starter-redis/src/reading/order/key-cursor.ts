import { foreignCursor, type JsonValue } from "@omni/p2p-core/starter";
import type { Key } from "../../client/keys.ts";
import { STORE } from "../../types.ts";

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
