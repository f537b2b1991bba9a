import type { P2PCapabilities, ValueType } from "@omni/p2p-core/starter";

/** What becomes of each kind of value in a field of a document, and how it comes back. The README shows it. */
export const VALUE_MAPPING: Readonly<Record<ValueType, { readonly stored: string; readonly returned: string }>> = {
  null: { stored: "null", returned: "null; an absent field stays absent" },
  boolean: { stored: "bool", returned: "boolean" },
  number: {
    stored: "int when whole and of 32 bits, else double",
    returned: "number, with `NaN`, `-0` and the infinities",
  },
  bigint: {
    stored: "long; beyond 64 bits the nearest double, with the exact value in `_p2p`",
    returned: "bigint of any size",
  },
  string: { stored: "string", returned: "string" },
  date: { stored: "date", returned: "`Date`" },
  bytes: { stored: "binData of subtype 0", returned: "`Uint8Array`" },
  array: { stored: "array", returned: "array" },
  object: { stored: "object; text in `{ _p2p }` where a name cannot be kept", returned: "plain object" },
  tagged: { stored: "the BSON type of a `mongodb:` tag; text in `{ _p2p }` for others", returned: "`TaggedValue`" },
};

/** What of a server's dialect decides what its endpoints can do. */
interface Traits {
  readonly writeConcurrency: number;
  readonly specialNumbers: boolean;
  readonly nestedArrays: boolean;
  readonly complete: boolean;
}

/**
 * What a MongoDB endpoint can do.
 *
 * @param deletes whether its documents can be deleted
 */
export function mongodbCapabilities(dialect: Traits, deletes: boolean): P2PCapabilities {
  return {
    resumable: true,
    countable: true,
    partitionable: true,
    writeConcurrency: dialect.writeConcurrency,
    atomicBatches: false,
    shareable: true,
    lookUp: true,
    deletes,
    changes: dialect.complete,
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
