/** What a table declares, as one PostgreSQL endpoint tells another, so that a copy of it is made alike. */
import type { JsonValue, SourceSchema } from "@omni/p2p-core/starter";
import type { Column, Table } from "./table.ts";

/** The form of what a table declares. */
const FORMAT = "postgresql:table";

/** What is declared of one column. */
export interface DeclaredColumn {
  readonly name: string;
  /** As `format_type` has it: `numeric(10,2)`, `character varying(20)[]`. */
  readonly declared: string;
  /** `pg_catalog` for built-in types; another schema where an extension or the user has made it. */
  readonly typeSchema: string;
  /** As in `pg_type.typname`. */
  readonly typeName: string;
  readonly typeKind: string;
  /** Of a domain, the type under it. */
  readonly base?: { readonly schema: string; readonly name: string };
  readonly notNull: boolean;
  /** SQL; absent where there is none, and of generated columns. */
  readonly default?: string;
  readonly identity?: "always" | "byDefault";
  /** The collation with its schema, quoted; absent for types without. */
  readonly collation?: string;
  /** In a table of ours: whether it stands after the sidecar, where NULL means that the field is absent. */
  readonly optional: boolean;
}

/** What a table declares, as far as a copy of it is made alike. */
export interface DeclaredTable {
  readonly own: boolean;
  readonly columns: readonly DeclaredColumn[];
  /** Names of its columns. */
  readonly key: readonly string[];
  readonly keyIsPrimary: boolean;
  /** Names of other columns that are unique together. */
  readonly uniques: readonly (readonly string[])[];
}

/**
 * What a table declares, for a target that is to be made like it; `undefined` for queries and for what names no rows.
 *
 * @param fields those that are read; all when `undefined`. Columns of the key come along.
 */
export function schemaOf(table: Table, fields: ReadonlySet<string> | undefined): SourceSchema | undefined {
  const key = table.key.columns.map(({ column }) => column);
  if (table.type === "query" || key.length === 0) return undefined;
  const columns = table.columns.filter(
    (column) => fields === undefined || fields.has(column.field) || key.includes(column),
  );
  const names = new Set(columns.map(({ name }) => name));
  const declared: DeclaredTable = {
    own: table.own,
    columns: columns.map(declaredColumn),
    key: key.map(({ name }) => name),
    keyIsPrimary: table.key.primary,
    uniques: table.uniques
      .map((unique) => unique.map(({ name }) => name))
      .filter((unique) => unique.every((name) => names.has(name))),
  };
  return {
    format: FORMAT,
    definition: declared as unknown as JsonValue,
    fields: {
      names: [...new Set(["id", ...columns.map(({ field }) => field)])],
      complete: !table.own && fields === undefined,
    },
  };
}

function declaredColumn(column: Column): DeclaredColumn {
  const { name, declared, type, notNull, identity, collation, optional, generated } = column;
  return {
    ...{ name, declared, notNull, optional },
    typeSchema: type.schema,
    typeName: type.name,
    typeKind: type.kind,
    ...(type.base && { base: { schema: type.base.schema, name: type.base.name } }),
    ...(column.default !== undefined && !generated && { default: column.default }),
    ...(identity && { identity }),
    ...(collation !== undefined && { collation }),
  };
}

/** What a source's schema says; `undefined` when it is none of PostgreSQL. */
export function declaredOf(schema: SourceSchema | undefined): DeclaredTable | undefined {
  return schema?.format === FORMAT ? (schema.definition as unknown as DeclaredTable) : undefined;
}
