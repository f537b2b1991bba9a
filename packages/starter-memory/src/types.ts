import type { P2PCapabilities } from "@omni/p2p-core/starter";

/** Memory keeps every value as it is, and nothing beyond the process; a cursor counts insertions. */
export const memoryCapabilities: P2PCapabilities = {
  resumable: true,
  countable: true,
  partitionable: true,
  writeConcurrency: 1,
  atomicBatches: true,
  shareable: true,
  lookUp: true,
  deletes: true,
  changes: true,
  valueTypes: {
    null: "native",
    boolean: "native",
    number: "native",
    bigint: "native",
    string: "native",
    date: "native",
    bytes: "native",
    array: "native",
    object: "native",
    tagged: "native",
  },
};
