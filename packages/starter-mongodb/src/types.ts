import type { P2PCapabilities, ValueType } from "@omni/p2p-core";
import type { Dialect } from "./dialect.ts";

/** What MongoDB keeps, and how: checked against the README by a test. */
export const MONGODB_TYPES: Readonly<Record<ValueType, { readonly stored: string; readonly returns: string }>> = {
  null: { stored: "null", returns: "null" },
  boolean: { stored: "bool", returns: "boolean" },
  number: { stored: "int (whole, of 32 bits), else double", returns: "number" },
  bigint: { stored: "long; beyond 64 bits `{ _p2p }`", returns: "bigint" },
  string: { stored: "string", returns: "string" },
  date: { stored: "date", returns: "Date" },
  bytes: { stored: "binData, subtype 0", returns: "Uint8Array" },
  array: { stored: "array", returns: "array" },
  object: { stored: "object; with names that BSON cannot have `{ _p2p }`", returns: "object" },
  tagged: { stored: "`mongodb:…` as the BSON type it names; others `{ _p2p }`", returns: "TaggedValue" },
};

/** Writes to one collection gain little from more than this many commands at a time. */
const WRITE_CONCURRENCY = 4;

/** What a MongoDB endpoint can do. */
export function mongodbCapabilities(dialect: Dialect): P2PCapabilities {
  return {
    resumable: true,
    countable: true,
    partitionable: true,
    writeConcurrency: WRITE_CONCURRENCY,
    atomicBatches: false,
    shareable: true,
    valueTypes: {
      null: "native",
      boolean: "native",
      number: dialect.specialNumbers ? "native" : "tagged",
      bigint: "tagged",
      string: "native",
      date: "native",
      bytes: "native",
      array: dialect.nestedArrays ? "native" : "tagged",
      object: "tagged",
      tagged: "tagged",
    },
  };
}
