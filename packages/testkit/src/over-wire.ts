import { type JsonValue, parseJson } from "@omni/p2p-core/starter";

/** A cursor, a partition or a locator as another process gets it. V8's own `JSON.parse` may misread a name with an escape. */
export function overWire<T>(json: T): T {
  return parseJson(JSON.stringify(json)) as JsonValue as T;
}
