import type { P2PCapabilities, ValueType } from "@omni/p2p-core/starter";

/** The storage type, which marks cursors and partitions. */
export const STORE = "sqlite";

/**
 * What SQLite does with the kinds of value, in tables that this starter creates: a declared column type carries the
 * kind, and the sidecar column carries what such a column cannot say.
 */
export const sqliteCapabilities: P2PCapabilities = {
  resumable: true,
  countable: true,
  partitionable: true,
  // They are written one after the other; those that wait are the next work of a thread.
  writeConcurrency: 3,
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

/** The declared type of a column that this starter makes for values of one kind. */
export const OWN_TYPES: Readonly<Record<Exclude<ValueType, "null">, string>> = {
  boolean: "BOOLEAN",
  number: "NUMERIC",
  bigint: "BIGINT",
  string: "TEXT",
  date: "TIMESTAMP",
  bytes: "BLOB",
  array: "JSON",
  object: "JSON",
  tagged: "JSON",
};

/** The name of the column that holds what the others cannot say. A table that has it is one of ours. */
export const SIDECAR = "_p2p";

/** Stands as a comment in the SQL of all that `changes enable` makes in a file, and tells it from what is the user's. */
export const CHANGES_MARK = "/* omni-p2p changes */";

/** What a declared type means for the values in the column. */
export type ColumnKind =
  /** Ours: numbers that come back as numbers, however large. */
  | "number"
  /** Ours: integers that come back as bigints, however small. */
  | "bigint"
  /** Ours: dates as ISO 8601 text, and in forms of their own outside the years 0 to 9999. */
  | "timestamp"
  /** Integers: a number where it is exact, else a bigint. */
  | "integer"
  | "real"
  /** Whatever SQLite makes of it: `NUMERIC`, `DECIMAL(10,2)`, and every type name it does not know. */
  | "numeric"
  | "text"
  | "blob"
  /** No declared type: every value as it is. */
  | "any"
  /** 0 and 1 are false and true. */
  | "boolean"
  /** Text exactly as `Date.toISOString()` writes it is a date; everything else is what it is. */
  | "date"
  /** Text exactly as `JSON.stringify` writes a list or an object is one; everything else is what it is. */
  | "json";

/** SQLite's type affinity, which decides what is converted when a value is stored or compared. */
export type Affinity = "integer" | "real" | "numeric" | "text" | "none";

/** The affinity of a declared type, by the rules of SQLite's documentation. */
export function affinityOf(declared: string, strict: boolean): Affinity {
  const type = declared.toUpperCase();
  if (type === "" || (strict && type === "ANY")) return "none";
  if (type.includes("INT")) return "integer";
  if (/CHAR|CLOB|TEXT/.test(type)) return "text";
  if (type.includes("BLOB")) return "none";
  return /REAL|FLOA|DOUB/.test(type) ? "real" : "numeric";
}

const OWN_KINDS: Readonly<Record<string, ColumnKind>> = {
  NUMERIC: "number",
  BIGINT: "bigint",
  TIMESTAMP: "timestamp",
  BOOLEAN: "boolean",
  TEXT: "text",
  BLOB: "blob",
  JSON: "json",
  "": "any",
};

/** What a declared type means. @param own whether the column is in a table of ours. */
export function kindOf(declared: string, own: boolean, strict: boolean): ColumnKind {
  const type = declared.toUpperCase().trim();
  if (own && Object.hasOwn(OWN_KINDS, type)) return OWN_KINDS[type]!;
  if (/^BOOL(EAN)?$/.test(type)) return "boolean";
  if (type === "JSON") return "json";
  if (/^(DATE|DATETIME|TIMESTAMP)\b/.test(type)) return "date";
  const affinity = affinityOf(declared, strict);
  if (affinity === "none") return type.includes("BLOB") ? "blob" : "any";
  return affinity;
}
