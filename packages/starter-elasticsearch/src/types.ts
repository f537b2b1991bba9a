import type { P2PCapabilities, P2PValue, ValueType } from "@omni/p2p-core/starter";
import { TaggedValue } from "@omni/p2p-core/starter";

/** The storage type, which marks cursors and partitions. */
export const STORE = "elasticsearch";

/** What a field of an index that we made holds. */
export type FieldKind = "string" | "number" | "bigint" | "boolean" | "date" | "bytes" | "object";

/** A property of a mapping, as the server takes it. */
export type Property = Readonly<Record<string, unknown>>;

/**
 * Longest text that is indexed as one keyword, in UTF-16 units: Elasticsearch's own customary limit. Longer text can be
 * searched by its words, and is compared and sorted here.
 */
export const KEYWORD_LENGTH = 256;

/** The key in a property's `meta` that says which kind of value we made it for. */
export const KIND_META = "p2p";

/** The field that holds what the others cannot say. */
export const SIDECAR = "_p2p";

const PROPERTIES: Readonly<Record<FieldKind, Property>> = {
  string: { type: "text", fields: { keyword: { type: "keyword", ignore_above: KEYWORD_LENGTH } } },
  number: { type: "double" },
  bigint: { type: "long" },
  boolean: { type: "boolean" },
  date: { type: "date", format: "strict_date_optional_time||epoch_millis" },
  bytes: { type: "binary" },
  object: { type: "flattened", depth_limit: 100, ignore_above: KEYWORD_LENGTH },
};

/** The property of a field that is to hold values of a kind. */
export function propertyOf(kind: FieldKind): Property {
  return { ...PROPERTIES[kind], meta: { [KIND_META]: kind } };
}

/** The key in the `meta` of the field with the ids that says of which kind they are, where it holds their text. */
export const ID_META = "id";

/** The property of the record's id. Where ids are not numbers or dates, it holds their text, which sorts as they do. */
export function idPropertyOf(type: ValueType): Property {
  if (type === "number" || type === "bigint" || type === "date") return propertyOf(type);
  return { type: "keyword", meta: { [KIND_META]: "string", [ID_META]: type } };
}

/** The property of the sidecar: names and texts are searched, values are only kept. */
export const SIDECAR_PROPERTY: Property = {
  properties: {
    fields: { type: "keyword", ignore_above: 8000 },
    values: { type: "object", enabled: false },
    // Texts of values that their fields cannot hold: _p2p.texts.price is searched where price is a number.
    texts: { type: "flattened", ignore_above: KEYWORD_LENGTH },
  },
};

/** The kind of field that a value asks for; `undefined` when it fits any, as null and empty lists do. */
export function kindOf(value: P2PValue | undefined): FieldKind | undefined {
  switch (typeof value) {
    case "undefined":
      return undefined;
    case "object":
      if (value === null) return undefined;
      if (value instanceof Date) return "date";
      if (value instanceof Uint8Array) return "bytes";
      if (value instanceof TaggedValue) return "string";
      if (!Array.isArray(value)) return "object";
      for (const item of value as readonly P2PValue[]) {
        const kind = kindOf(item);
        if (kind !== undefined) return kind;
      }
      return undefined;
    default:
      return typeof value as "string" | "number" | "bigint" | "boolean";
  }
}

/** How a kind of value is kept in an index that this starter made: the table of the README, as data. */
export interface ElasticsearchTypeMapping {
  readonly value: ValueType;
  /** The field's type in the mapping. */
  readonly field: string;
  /** What stands in `_source`. */
  readonly source: string;
  /** What needs the sidecar `_p2p` to come back as it was. */
  readonly sidecar: string;
}

/** What each kind of value becomes, and how it comes back. */
export const ELASTICSEARCH_TYPE_MAPPING: readonly ElasticsearchTypeMapping[] = [
  { value: "null", field: "any", source: "null; an absent field is absent", sidecar: "never" },
  { value: "boolean", field: "boolean", source: "true or false", sidecar: "never" },
  { value: "number", field: "double", source: "the number", sidecar: "NaN, Infinity, -Infinity and -0" },
  {
    value: "bigint",
    field: "long",
    source: "the whole number; as a string beyond 2^53",
    sidecar: "beyond 64 bits",
  },
  { value: "string", field: "text, with .keyword up to 256 characters", source: "the string", sidecar: "never" },
  {
    value: "date",
    field: "date",
    source: "ISO 8601; milliseconds before the year 0 and after 9999",
    sidecar: "never",
  },
  { value: "bytes", field: "binary", source: "base64", sidecar: "never" },
  {
    value: "array",
    field: "as its items",
    source: "the list, if all items fit the field",
    sidecar: "the field's name; and the list, if its items do not fit",
  },
  {
    value: "object",
    field: "flattened",
    source: "the object",
    sidecar: "what in it is not JSON, such as dates and bytes",
  },
  { value: "tagged", field: "text, with .keyword", source: "its payload, if that is a string", sidecar: "always" },
];

/** Elasticsearch keeps every value: in the field's own type where that can say it, and by the sidecar where not. */
export const elasticsearchCapabilities: P2PCapabilities = {
  resumable: true,
  countable: true,
  partitionable: true,
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
    bigint: "native",
    string: "native",
    date: "native",
    bytes: "native",
    array: "native",
    object: "native",
    tagged: "tagged",
  },
};
