import { getField, P2PError, type P2PRecord } from "@omni/p2p-core/starter";
import type { RedisEndpoint } from "../endpoint.ts";

/** When a key is to expire: at a time in ms since 1970, or after a time in ms. */
export interface Expiry {
  readonly kind: "at" | "after";
  readonly ms: number;
}

/**
 * When a record is to expire: as its `ttlField` says, else after the `ttl` of the endpoint; `undefined` for never.
 *
 * @throws P2PError `TYPE_MISMATCH` when the field holds something else than a time.
 */
export function expiryOf(record: P2PRecord, settings: RedisEndpoint): Expiry | undefined {
  const { ttlField } = settings;
  const value = ttlField === undefined ? undefined : (getField(record, ttlField) ?? undefined);
  if (value === undefined || value instanceof Date) return expiryAfter(value?.getTime(), settings);
  const seconds = typeof value === "bigint" ? Number(value) : value;
  if (typeof seconds === "number" && seconds > 0 && seconds <= MOST_SECONDS) {
    return { kind: "after", ms: Math.max(1, Math.round(seconds * 1000)) };
  }
  throw new P2PError(
    "TYPE_MISMATCH",
    `The field ${JSON.stringify(ttlField)} must hold the Date of expiry or a number of seconds above 0`,
  );
}

/** When to expire that is to expire at a time in ms since 1970, or has no such time of its own. */
export function expiryAfter(at: number | undefined, { ttl }: RedisEndpoint): Expiry | undefined {
  // Redis refuses the time 0 and before; a time long past is meant all the same.
  if (at !== undefined) return { kind: "at", ms: Math.max(1, at) };
  return ttl === undefined ? undefined : { kind: "after", ms: ttl * 1000 };
}

/** Redis counts milliseconds in 64 bits; this is far below, and far beyond any Date. */
const MOST_SECONDS = 1e13;

/** The words with which SET takes it. */
export function setWords(expiry: Expiry | undefined): (string | number)[] {
  return expiry === undefined ? [] : [expiry.kind === "at" ? "PXAT" : "PX", expiry.ms];
}
