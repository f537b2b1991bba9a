import { type FieldMapping, type P2PId, type P2PRecord, type P2PValue, sampleFields } from "@omni/p2p-core/starter";
import type { Dialect } from "../client/dialect.ts";
import type { RecordEncoder } from "../values/encode.ts";
import { nearestNumber } from "../values/numbers.ts";
import { SIDECAR } from "../values/sidecar.ts";

/** What the fields of some records would become. All of it comes back, by BSON's types or by tags. */
export function describeSample(sample: readonly P2PRecord[], dialect: Dialect, encoder: RecordEncoder): FieldMapping[] {
  return sampleFields(sample).map(({ field, types, values }) => ({
    field,
    types,
    storedAs: [...new Set(values.map((value) => storedAs(field, value, dialect, encoder)))].join(" or "),
    lossless: true,
    ...(dialect.unfitName.test(field) ? { note: `${dialect.product} cannot have a field of this name` } : {}),
  }));
}

function storedAs(field: string, value: P2PValue, dialect: Dialect, encoder: RecordEncoder): string {
  if (field === "id") return `_id: ${bsonType(encoder.id(value as P2PId))}`;
  if (dialect.unfitName.test(field)) return `text in ${SIDECAR}`;
  if (nearestNumber(value, dialect) !== undefined) return `double, exactly in ${SIDECAR}`;
  return bsonType(encoder.value(value));
}

/** BSON's names of what the driver's classes stand for. */
const CLASS_NAMES: Readonly<Record<string, string>> = {
  Binary: "binData",
  ObjectId: "objectId",
  BSONRegExp: "regex",
  BSONSymbol: "symbol",
  Code: "javascript",
  Decimal128: "decimal",
  MaxKey: "maxKey",
  MinKey: "minKey",
  Timestamp: "timestamp",
};

function bsonType(encoded: unknown): string {
  switch (typeof encoded) {
    case "string":
      return "string";
    case "boolean":
      return "bool";
    case "bigint":
      return "long";
    case "number":
      return Number.isInteger(encoded) && Math.abs(encoded) < 2 ** 31 && !Object.is(encoded, -0) ? "int" : "double";
    default:
      if (encoded === null) return "null";
      if (Array.isArray(encoded)) return "array";
      if (encoded instanceof Date) return "date";
      if (encoded instanceof Uint8Array) return "binData";
      return objectType(encoded as Readonly<Record<string, unknown>>);
  }
}

function objectType(encoded: Readonly<Record<string, unknown>>): string {
  if (Object.hasOwn(encoded, SIDECAR)) return `text in { ${SIDECAR} }`;
  const { _bsontype } = encoded as { readonly _bsontype?: string };
  return (_bsontype === undefined ? undefined : CLASS_NAMES[_bsontype]) ?? "object";
}
