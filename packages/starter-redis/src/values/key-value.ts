import type { P2PError } from "@omni/p2p-core/starter";
import type { StreamEntry } from "./foreign-record.ts";

/** What a key holds. */
export type KeyValue =
  | { readonly type: "string" | "dump"; readonly value: Buffer }
  | { readonly type: "hash" | "list" | "set" | "zset"; readonly value: readonly Buffer[] }
  | { readonly type: "stream"; readonly value: readonly StreamEntry[] };

/** A key as it was read: `undefined` for one that has gone since it was listed. */
export type Fetched = KeyValue | P2PError | undefined;
