import type { P2PCapabilities, ValueType } from "@omni/p2p-core/starter";
import type { Dialect } from "./client/dialect.ts";

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

/** What BSON's other types are read as; they are written back as what they were, but for those in `READ_ONLY_TAGS`. */
export const BSON_TAGS: Readonly<Record<string, string>> = {
  objectId: "its 24 hexadecimal digits, in small letters",
  uuid: "its text, in small letters (binData of subtype 4)",
  binary: "`{ subtype, base64 }` (binData of all other subtypes)",
  decimal128: "its text, such as `12.50`",
  regex: "`{ pattern, options }`",
  timestamp: "`{ t, i }`",
  dbRef: "`{ $ref, $id, $db? }` and what else it has",
  code: "its text",
  codeWithScope: "`{ code, scope }`",
  symbol: "its text",
  minKey: "null",
  maxKey: "null",
  undefined: "null",
  dbPointer: "`{ namespace, id }`",
  date: "its milliseconds as text (a date that JavaScript cannot hold)",
};

/** Types that the driver cannot write: they become text in `{ _p2p }`. */
export const READ_ONLY_TAGS: ReadonlySet<string> = new Set(["undefined", "dbPointer", "date"]);

/** What a MongoDB endpoint can do. */
export function mongodbCapabilities(dialect: Dialect): P2PCapabilities {
  return {
    resumable: true,
    countable: true,
    partitionable: true,
    writeConcurrency: dialect.writeConcurrency,
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
