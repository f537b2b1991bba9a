import type { P2PCapabilities, ValueSupport, ValueType } from "@omni/p2p-core/starter";

/** NDJSON and JSON say plainly what JSON has, and the rest with the tags that dead letters have. */
export const jsonValueTypes: Readonly<Record<ValueType, ValueSupport>> = {
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
};

/** CSV has numbers, dates and text by their looks; the rest stands as JSON, with tags where JSON lacks it too. */
export const csvValueTypes: Readonly<Record<ValueType, ValueSupport>> = {
  null: "native",
  boolean: "native",
  number: "native",
  bigint: "native",
  string: "native",
  date: "native",
  bytes: "tagged",
  array: "native",
  object: "native",
  tagged: "tagged",
};

/** Parquet has types of its own for columns of one kind; what else there is stands as JSON, with tags. */
export const parquetValueTypes: Readonly<Record<ValueType, ValueSupport>> = {
  ...csvValueTypes,
  bytes: "native",
};

/** What files can do: they are read from one end to the other, and written the same way. */
export const fileCapabilities: P2PCapabilities = {
  resumable: true,
  countable: false,
  partitionable: true,
  writeConcurrency: 1,
  atomicBatches: false,
  shareable: false,
  lookUp: false,
  deletes: false,
  changes: false,
  valueTypes: jsonValueTypes,
};
