/** Tables, as the catalogue tells of them: columns with their types, and the key. */

/** A type of the server. */
export interface ColumnType {
  readonly oid: number;
  /** Where it is defined; `pg_catalog` for the built-in ones. */
  readonly schema: string;
  /** As in `pg_type.typname`: `int4`, `timestamptz`, `_int4`, `vector`. */
  readonly name: string;
  readonly kind: "base" | "enum" | "domain" | "composite" | "range" | "multirange" | "array" | "pseudo";
  /** Of a domain, the type under it all, domains over domains unwrapped. */
  readonly base?: ColumnType;
  /** Of an array, the type of its elements. */
  readonly element?: ColumnType;
  /** Between the elements of an array of this type: a comma, but for `box`. */
  readonly delimiter: string;
}

/** One column that can be read. */
export interface Column {
  readonly name: string;
  /** The field of a record that it is. The same as its name, but for a column `id` that is not the key. */
  readonly field: string;
  readonly type: ColumnType;
  /** The modifier of the type (`atttypmod`, of a domain that of its base): -1 for none. */
  readonly typmod: number;
  /** Its type as declared, as `format_type` says it: `numeric(10,2)`. */
  readonly declared: string;
  readonly notNull: boolean;
  /** Computed by the server: it is read but never written. */
  readonly generated: boolean;
  readonly identity: "always" | "byDefault" | undefined;
  /** Its default as SQL, where it has one. */
  readonly default: string | undefined;
  /** The collation of its texts: the name with its schema, quoted; absent for types without one. */
  readonly collation: string | undefined;
  /** Whether texts are compared by code point (`C`, `POSIX`, `C.UTF-8` and their like). */
  readonly byCodePoint: boolean;
  /** In a table of ours: whether NULL means that the field is absent, and not that it is null. */
  readonly optional: boolean;
}

/** One column of a key, in the order of the index that keeps it unique. */
export interface KeyColumn {
  readonly column: Column;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** What names the rows of a table. */
export interface TableKey {
  /** Empty where nothing does. */
  readonly columns: readonly KeyColumn[];
  /** Whether an index says that no two rows share it, of which none is null. */
  readonly unique: boolean;
  /** Whether it is the primary key. */
  readonly primary: boolean;
  /** Whether it is checked at each row: only then can `ON CONFLICT` go by it (it cannot by a DEFERRABLE one). */
  readonly immediate: boolean;
}

/** A table, a view or a query, as far as reading and writing must know it. */
export interface Table {
  /** 0 for a query. */
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly type: "table" | "partitioned" | "view" | "materializedView" | "foreign" | "query";
  /** Changes whenever a column or an index does, or another table takes its place. Empty for a query. */
  readonly state: string;
  /** Whether this starter created it: it has a sidecar. */
  readonly own: boolean;
  /** All but the sidecar. */
  readonly columns: readonly Column[];
  readonly key: TableKey;
  /** Columns beside the key that no two rows share. */
  readonly uniques: readonly (readonly Column[])[];
  readonly hasTriggers: boolean;
  /**
   * Changes whenever somebody alters the table, and tells that it is plain: neither triggers nor rules, nor constraints that other tables
   * take part in. `undefined` for one that is not.
   */
  readonly plainVersion: string | undefined;
  /** Whether row-level security holds for the user who is connected. */
  readonly rowSecurity: boolean;
  /** Rows and bytes, as the server's statistics have them; -1 where it does not know. */
  readonly estimatedRows: number;
  readonly bytes: number;
}
