import { invalidNative, nativePart, type ParsedQuery } from "@omni/p2p-core/starter";
import { STORE } from "../types.ts";

/** What only Redis understands, under `native.redis` of a query. */
export interface RedisNativeQuery {
  /** A pattern of `SCAN … MATCH` for the keys, without the endpoint's prefix: `"2024-*"`. Its `*?[]\` have meaning. */
  readonly match?: string | undefined;
  /** Only keys of this type: `string`, `hash`, `list`, `set`, `zset`, `stream` or a module's. */
  readonly type?: string | undefined;
}

declare global {
  interface P2PNativeQueries {
    redis: RedisNativeQuery;
  }
}

/** @throws P2PError `INVALID_QUERY` or `UNSUPPORTED_QUERY` */
export function parseNative(query: ParsedQuery): RedisNativeQuery {
  const native = nativePart(query, { store: STORE, product: "Redis", keys: ["match", "type"] }) ?? {};
  for (const [key, value] of Object.entries(native)) {
    if (value !== undefined && typeof value !== "string") throw invalidNative(STORE, `${key} must be a string`);
  }
  return native;
}
