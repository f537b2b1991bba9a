/** Rights: whether the user may read a table, write it or make it, told before the first record comes. */
import { P2PError } from "@omni/p2p-core/starter";
import { tableNameText } from "../endpoint.ts";
import { qualified, quote } from "./sql.ts";
import type { PostgresqlStore } from "./store.ts";
import type { Table } from "./table.ts";

/** @throws P2PError `AUTHENTICATION_FAILED` where the user may not read every column of the table. */
export async function assertMayRead(store: PostgresqlStore, table: Table, signal: AbortSignal): Promise<void> {
  const { rows } = await store.query(
    "open",
    signal,
    `SELECT current_user, pg_catalog.has_schema_privilege(n.oid, 'USAGE'), pg_catalog.has_table_privilege(c.oid, 'SELECT'),
       (SELECT pg_catalog.json_agg(a.attname) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'))
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::pg_catalog.int8::pg_catalog.oid`,
    [String(table.oid)],
  );
  const [user, usage, whole, columns] = rows[0] ?? [];
  if (usage === "f")
    throw mayNot(
      store,
      `${user} may not look into the schema ${table.schema}`,
      `GRANT USAGE ON SCHEMA ${quote(table.schema)}`,
    );
  if (whole === "f" && columns != null) {
    const names = JSON.parse(columns) as string[];
    const which = names.length === table.columns.length ? "" : ` the columns ${names.join(", ")} of`;
    throw mayNot(store, `${user} may not read${which} ${tableNameText(table)}`, `GRANT SELECT ON ${qualified(table)}`);
  }
}

function mayNot({ label }: PostgresqlStore, what: string, grant: string): P2PError {
  return new P2PError("AUTHENTICATION_FAILED", `Cannot read from ${label}: ${what}; ${grant} allows it`);
}

/** @throws P2PError `TARGET_NOT_WRITABLE` where the user may not write the table, or not make it where it is missing. */
export async function assertMayWrite(
  store: PostgresqlStore,
  table: Table | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (table === undefined) return assertMayCreate(store, signal);
  const notWritable = (what: string) => new P2PError("TARGET_NOT_WRITABLE", `Cannot write to ${store.label}: ${what}`);
  const name = tableNameText(table);
  if (table.type === "materializedView") throw notWritable(`${name} is a materialized view; name the table under it`);
  const { rows } = await store.query(
    "open",
    signal,
    `SELECT current_user, pg_catalog.has_schema_privilege(n.oid, 'USAGE'), pg_catalog.has_any_column_privilege(c.oid, 'INSERT'),
       (pg_catalog.pg_relation_is_updatable(c.oid, true) & 8) <> 0
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::pg_catalog.int8::pg_catalog.oid`,
    [String(table.oid)],
  );
  const [user, usage, insert, insertable] = rows[0] ?? [];
  if (usage === "f") {
    throw notWritable(
      `${user} may not look into the schema ${table.schema}; GRANT USAGE ON SCHEMA ${quote(table.schema)} allows it`,
    );
  }
  if (insertable === "f") throw notWritable(`${name} is a view that takes no rows; name the table under it`);
  if (insert === "f") {
    throw notWritable(
      `${user} may not write ${name}; GRANT SELECT, INSERT, UPDATE, DELETE ON ${qualified(table)} allows it`,
    );
  }
}

async function assertMayCreate(store: PostgresqlStore, signal: AbortSignal): Promise<void> {
  const { label, tableName, endpoint } = store;
  const notWritable = (what: string) => new P2PError("TARGET_NOT_WRITABLE", `Cannot write to ${label}: ${what}`);
  const wanted = tableNameText(tableName!);
  const schema = tableName?.schema ?? endpoint.schema;
  const { rows } = await store.query(
    "open",
    signal,
    `SELECT current_user, n.nspname, pg_catalog.has_schema_privilege(n.oid, 'CREATE') FROM pg_catalog.pg_namespace n
     WHERE n.nspname = coalesce($1::pg_catalog.text, pg_catalog.current_schema())`,
    [schema ?? null],
  );
  if (endpoint.create === "never") {
    throw notWritable(`there is no table ${wanted}, and the option create is "never", so that it is not made`);
  }
  if (rows[0] === undefined) {
    throw notWritable(
      schema === undefined
        ? `the table ${wanted} would have to be made, and none of the schemas of the search_path is there; name one by the option schema`
        : `there is no schema ${JSON.stringify(schema)}; CREATE SCHEMA ${quote(schema)} makes it`,
    );
  }
  const [user, found, create] = rows[0];
  if (create === "f") {
    throw notWritable(
      `the table ${wanted} would have to be made, and ${user} may not make tables in the schema ${found}; GRANT CREATE ON SCHEMA ${quote(found!)} allows it`,
    );
  }
}
