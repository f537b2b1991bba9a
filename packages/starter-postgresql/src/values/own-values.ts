/** Cells of tables of ours: which type a column gets, and what its cells say by themselves. */
import { encodeJson, type P2PValue, TaggedValue, type ValueType, valueType } from "@omni/p2p-core/starter";
import type { Cell } from "../client/session.ts";
import { canonicalCell, declaredForTag } from "./canonical-tags.ts";
import { hexOf, numberText } from "./encode.ts";
import { fitsJsonb } from "./json.ts";
import { serverTextOfDate } from "./timestamps.ts";

/** What a cell cannot hold so that it comes back equal: the sidecar must. */
export const UNREPRESENTABLE = Symbol("unrepresentable");

/** The type of a column that this starter makes for values of one kind. */
export const OWN_TYPES: Readonly<Record<Exclude<ValueType, "null">, string>> = {
  boolean: "boolean",
  number: "double precision",
  bigint: "numeric",
  string: "text",
  date: "timestamp with time zone",
  bytes: "bytea",
  array: "jsonb",
  object: "jsonb",
  tagged: "jsonb",
};

/** The name in the catalogue (`pg_type.typname`) of a type that such a column has. */
export function typeNameOf(declared: string): string {
  return TYPE_NAMES[declared] ?? declared;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  boolean: "bool",
  "double precision": "float8",
  "timestamp with time zone": "timestamptz",
};

/** The type for a column whose first values are these; `undefined` where all of them are null. */
export function ownTypeFor(values: Iterable<P2PValue | undefined>): string | undefined {
  let found: string | undefined;
  for (const value of values) {
    if (value === undefined || value === null) continue;
    const type =
      (value instanceof TaggedValue ? declaredForTag(value) : undefined) ??
      OWN_TYPES[valueType(value) as Exclude<ValueType, "null">];
    // Of values of several kinds JSON shows most.
    if (found !== undefined && found !== type) return "jsonb";
    found = type;
  }
  return found;
}

/** What a cell of a type (as `pg_type.typname` has it) holds for a value that it can say fully. */
export function storeOwn(type: string, value: P2PValue): Cell | typeof UNREPRESENTABLE {
  if (value === null) return null;
  switch (type) {
    case "bool":
      return typeof value === "boolean" ? (value ? "t" : "f") : UNREPRESENTABLE;
    case "float8":
      return typeof value === "number" ? numberText(value) : UNREPRESENTABLE;
    case "numeric":
      return typeof value === "bigint" ? value.toString() : storeTag(type, value);
    case "text":
      return typeof value === "string" && !value.includes("\0") ? value : UNREPRESENTABLE;
    case "timestamptz":
      return value instanceof Date ? (serverTextOfDate(value) ?? UNREPRESENTABLE) : storeTag(type, value);
    case "bytea":
      return value instanceof Uint8Array ? hexOf(value) : UNREPRESENTABLE;
    case "jsonb":
      return fitsJsonb(value) ? encodeJson(value) : UNREPRESENTABLE;
    default:
      return storeTag(type, value);
  }
}

function storeTag(type: string, value: P2PValue): Cell | typeof UNREPRESENTABLE {
  return (value instanceof TaggedValue ? canonicalCell(type, value) : undefined) ?? UNREPRESENTABLE;
}
