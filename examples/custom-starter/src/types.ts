import type { P2PCapabilities } from "@omni/p2p-core/starter";

/** What JSON has is written as it is, the rest with the core's tags, so every value comes back with its type. */
export const jsonFilesCapabilities: P2PCapabilities = {
  resumable: true,
  countable: true,
  partitionable: true,
  // More at a time only wait for the disk.
  writeConcurrency: 4,
  atomicBatches: false,
  shareable: true,
  lookUp: true,
  deletes: true,
  changes: false,
  valueTypes: {
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
};
