import {
  type P2PError,
  type P2PRecord,
  type P2PValue,
  type ReadFailure,
  setField,
  toP2PError,
} from "@omni/p2p-core/starter";
import { type Key, keySuffix, keyText } from "../client/keys.ts";
import type { RedisEndpoint } from "../endpoint.ts";
import { listRecord, setRecord, sortedSetRecord, streamRecord } from "./foreign-record.ts";
import { decodeHashRecord } from "./hash-record.ts";
import { decodeJsonRecord } from "./json-record.ts";
import type { Fetched, KeyValue } from "./key-value.ts";

/** A key in which no record could be made out. */
export class UnreadableKey implements ReadFailure {
  readonly id: string;
  readonly error: P2PError;

  constructor(key: Key, error: P2PError) {
    this.id = keyText(key);
    this.error = error;
  }
}

/** The record under a key, or why there is none to be made out; `undefined` when the key is gone. */
export function toRecord(
  key: Key,
  fetched: Fetched,
  expiry: number | undefined,
  { prefix, ttlField }: RedisEndpoint,
): P2PRecord | UnreadableKey | undefined {
  if (fetched === undefined) return undefined;
  const suffix = keySuffix(key, prefix);
  if (fetched instanceof Error) return new UnreadableKey(suffix, fetched);
  if (suffix.length === 0) return new UnreadableKey(key, noId(key));
  try {
    const record = decode(fetched, suffix);
    if (expiry !== undefined && ttlField !== undefined) {
      setField(record as unknown as Record<string, P2PValue>, ttlField, new Date(expiry));
    }
    return record;
  } catch (error) {
    return new UnreadableKey(suffix, toP2PError(error, "INVALID_RECORD", `The key ${keyText(key)} cannot be read`));
  }
}

function decode(fetched: KeyValue, suffix: Key): P2PRecord {
  switch (fetched.type) {
    case "string":
      return decodeJsonRecord(fetched.value, suffix);
    case "hash":
      return decodeHashRecord(fetched.value, suffix);
    case "list":
      return listRecord(fetched.value, suffix);
    case "set":
      return setRecord(fetched.value, suffix);
    case "zset":
      return sortedSetRecord(fetched.value, suffix);
    case "stream":
      return streamRecord(fetched.value, suffix);
    case "dump":
      return { id: typeof suffix === "string" ? suffix : new Uint8Array(suffix), dump: new Uint8Array(fetched.value) };
  }
}

function noId(key: Key): P2PError {
  return toP2PError(
    new Error("nothing is left of it as an id"),
    "INVALID_RECORD",
    `The key ${keyText(key)} is the prefix`,
  );
}

/** About how many bytes a value takes. */
export function fetchedBytes(fetched: Fetched): number {
  if (fetched === undefined || fetched instanceof Error) return 0;
  if (fetched.type === "string" || fetched.type === "dump") return fetched.value.length;
  let bytes = 0;
  for (const item of fetched.value) {
    if (Buffer.isBuffer(item)) bytes += item.length;
    else for (const part of (item as readonly [Buffer, readonly Buffer[]])[1]) bytes += part.length;
  }
  return bytes;
}
