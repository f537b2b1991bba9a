/** Table schemas: what a table declares, as one PostgreSQL endpoint tells another. */
import type { JsonValue, SourceSchema } from "@omni/p2p-core/starter";
import type { Table } from "../client/table.ts";

/** The form of what a table declares. */
export const TABLE_FORMAT = "postgresql:table";

/** What is declared of one column. */
export interface DeclaredColumn {
  readonly name: string;
  /** The field of a record that it is. */
  readonly field: string;
  /** As `format_type` has it: `numeric(10,2)`, `character varying(20)[]`. */
  readonly declared: string;
  /** `pg_catalog` for built-in types; another schema where an extension or the user has made it. */
  readonly typeSchema: string;
  /** As in `pg_type.typname`. */
  readonly typeName: string;
  readonly typeKind: string;
  /** Of an array and of a domain, the type within. */
  readonly of?: { readonly schema: string; readonly name: string; readonly kind: string };
  readonly notNull: boolean;
  /** SQL; absent where there is none, and of generated columns. */
  readonly default?: string;
  readonly identity?: "always" | "byDefault";
  readonly generated: boolean;
  /** The collation with its schema, quoted; absent for the default and for types without. */
  readonly collation?: string;
  /** In a table of ours: whether NULL means that the field is absent. */
  readonly optional: boolean;
}

/** What a table declares, as far as a copy of it is made alike. */
export interface DeclaredTable {
  readonly own: boolean;
  readonly columns: readonly DeclaredColumn[];
  readonly key: readonly { readonly name: string; readonly descending: boolean }[];
  /** Whether the key is the primary key. */
  readonly primary: boolean;
  /** Names of other columns that are unique together. */
  readonly uniques: readonly (readonly string[])[];
}

/**
 * What a table declares, for a target that is to be made like it.
 *
 * @param fields those that are read; all when `undefined`. Columns of the key come along.
 */
export function tableSchema(table: Table, fields: readonly string[] | undefined): SourceSchema {
  const wanted = fields && new Set(fields);
  const keyNames = new Set(table.key.columns.map(({ column }) => column.name));
  const columns = table.columns.filter(
    ({ name, field }) => wanted === undefined || wanted.has(field) || keyNames.has(name),
  );
  const names = new Set(columns.map(({ name }) => name));
  const definition: DeclaredTable = {
    own: table.own,
    columns: columns.map((column) => {
      const { type } = column;
      const inner = type.element ?? type.base;
      return {
        name: column.name,
        field: column.field,
        declared: column.declared,
        typeSchema: type.schema,
        typeName: type.name,
        typeKind: type.kind,
        ...(inner && { of: { schema: inner.schema, name: inner.name, kind: inner.kind } }),
        notNull: column.notNull,
        ...(column.default !== undefined && { default: column.default }),
        ...(column.identity && { identity: column.identity }),
        generated: column.generated,
        ...(column.collation !== undefined &&
          column.collation !== '"pg_catalog"."default"' && { collation: column.collation }),
        optional: column.optional,
      };
    }),
    key: table.key.columns.map(({ column, descending }) => ({ name: column.name, descending })),
    primary: table.key.primary,
    uniques: table.uniques
      .map((parts) => parts.map(({ name }) => name))
      .filter((parts) => parts.every((name) => names.has(name))),
  };
  return {
    format: TABLE_FORMAT,
    definition: definition as unknown as JsonValue,
    fields: { names: ["id", ...columns.map(({ field }) => field)], complete: !table.own && wanted === undefined },
  };
}

/** What a source's schema declares; `undefined` when it is none of PostgreSQL. */
export function declaredTable(schema: SourceSchema | undefined): DeclaredTable | undefined {
  return schema?.format === TABLE_FORMAT ? (schema.definition as unknown as DeclaredTable) : undefined;
}
