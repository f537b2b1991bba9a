import type { P2PCapabilities } from "@omni/p2p-core/starter";

/** The storage type, which marks cursors and partitions. */
export const STORE = "postgresql";

/** The name of the column that holds what the others cannot say. A table where it has the mark is one of ours. */
export const SIDECAR = "_p2p";

/** The table of leases, which is none of the user's. */
export const LEASES = "_p2p_leases";

/** The comment on that column, by which a table of ours is told from one that happens to have such a column. Dumps keep it. */
export const SIDECAR_MARK = "Written by @omni/p2p: what the other columns cannot say";

/** What PostgreSQL does with the kinds of value, in tables that this starter creates. */
export const postgresqlCapabilities: P2PCapabilities = {
  resumable: true,
  countable: true,
  partitionable: true,
  writeConcurrency: 4,
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
    tagged: "tagged",
  },
};
