import type { P2PCapabilities, ValueType } from "@omni/p2p-core/starter";

/** The storage type, which marks the cursors too. */
export const STORE = "redis";

/** How records are written: as JSON text, as a hash, or as the dump of a key. */
export type RedisFormat = "json" | "hash" | "dump";

/** What a kind of value becomes in each format. The README shows it. */
export interface RedisMapping {
  /** In the JSON text of `format=json`. */
  readonly json: string;
  /** As the value of a field of the hash, and the type that the sidecar field `_p2p` tells of it. */
  readonly hash: string;
  /** What is read back from either. */
  readonly back: string;
}

/** The type mapping: what each kind of value is written as, and read back as. */
export const redisMapping: Readonly<Record<ValueType, RedisMapping>> = {
  null: { json: "`null`", hash: "empty text, type `null`", back: "null; an absent field stays absent" },
  boolean: { json: "`true` or `false`", hash: "`true` or `false`, type `boolean`", back: "boolean" },
  number: {
    json: "number; tag `number` for `NaN`, `-0` and the infinities",
    hash: "decimal text, type `number`",
    back: "number, with `NaN`, `-0` and the infinities",
  },
  bigint: { json: "tag `bigint` with decimal text", hash: "decimal text, type `bigint`", back: "bigint of any size" },
  string: { json: "string", hash: "the text itself", back: "string" },
  date: { json: "tag `date` with ISO 8601 text", hash: "ISO 8601 text, type `date`", back: "`Date`" },
  bytes: { json: "tag `bytes` with base64 text", hash: "the bytes themselves, type `bytes`", back: "`Uint8Array`" },
  array: { json: "array", hash: "JSON text, type `json`", back: "array" },
  object: {
    json: "object; tag `object` when it has a field `$p2p`",
    hash: "JSON text, type `json`",
    back: "plain object",
  },
  tagged: { json: "tag of its own type", hash: "JSON text, type `json`", back: "`TaggedValue`" },
};

/** Batches that are useful to have on their way at a time: one is worked on while others travel. */
const WRITE_CONCURRENCY = 4;

/** What a service can do that reads or writes a format. */
export function redisCapabilities(format: RedisFormat): P2PCapabilities {
  return {
    resumable: true,
    countable: true,
    partitionable: true,
    writeConcurrency: WRITE_CONCURRENCY,
    atomicBatches: false,
    shareable: true,
    lookUp: true,
    deletes: true,
    changes: true,
    valueTypes: VALUE_TYPES[format],
  };
}

const VALUE_TYPES: Readonly<Record<RedisFormat, P2PCapabilities["valueTypes"]>> = {
  json: {
    null: "native",
    boolean: "native",
    number: "native",
    bigint: "tagged",
    string: "native",
    date: "tagged",
    bytes: "tagged",
    array: "native",
    object: "native",
    tagged: "tagged",
  },
  hash: {
    null: "tagged",
    boolean: "tagged",
    number: "tagged",
    bigint: "tagged",
    string: "native",
    date: "tagged",
    bytes: "native",
    array: "tagged",
    object: "tagged",
    tagged: "tagged",
  },
  // A dump is a whole key as the server packs it; there is no room for fields beside it.
  dump: {
    null: "unsupported",
    boolean: "unsupported",
    number: "unsupported",
    bigint: "unsupported",
    string: "unsupported",
    date: "unsupported",
    bytes: "native",
    array: "unsupported",
    object: "unsupported",
    tagged: "unsupported",
  },
};
