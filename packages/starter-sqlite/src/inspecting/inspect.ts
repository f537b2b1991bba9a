import { type InspectedCollection, messageOf, type OpenContext, type StoreInspection } from "@omni/p2p-core/starter";
import { isBusy } from "../client/errors.ts";
import { openStore } from "../client/open.ts";
import { quote } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import { tableNames } from "../client/table.ts";
import type { SqliteEndpoint } from "../endpoint.ts";

/** Rows up to which a table is counted; counting a larger one would mean to read much of the file. */
const MAX_COUNTED = 1_000_000;

/** What is in a file: its tables and views, with their columns. One that cannot be looked at says why. */
export async function inspectHere(endpoint: SqliteEndpoint, context: OpenContext): Promise<StoreInspection> {
  const store = await openStore(endpoint, { ...context, role: "source" });
  try {
    return await store.patiently("read", context.signal, () => ({
      product: `SQLite ${String(store.values("SELECT sqlite_version()").get())}`,
      collections: tableNames(store.db).map(({ name, type }) => inspectTable(store, name, type)),
    }));
  } finally {
    store.close();
  }
}

function inspectTable(store: SqliteStore, name: string, type: string): InspectedCollection {
  const troubles: string[] = [];
  const tried = <T>(look: () => T): T | undefined => {
    try {
      return look();
    } catch (error) {
      // A lock is waited for.
      if (isBusy(error)) throw error;
      troubles.push(messageOf(error));
      return undefined;
    }
  };
  const table = tried(() => store.table(name));
  const keys = new Set(table?.key.columns.map(({ column }) => column));
  const records = type === "table" && table !== undefined ? tried(() => countUpTo(store, name)) : undefined;
  if (name === "") troubles.push("it has no name, so an endpoint cannot name it; give it one by ALTER TABLE");
  return {
    name,
    ...(records === undefined ? {} : { records }),
    ...(table === undefined
      ? {}
      : {
          fields: table.columns.map((column) => ({
            name: column.field,
            type: column.declared === "" ? "any type" : column.declared,
            ...(keys.has(column) ? { key: true } : {}),
          })),
        }),
    ...(troubles.length === 0 ? {} : { trouble: [...new Set(troubles)].join("; ") }),
    ...(name === "" ? {} : { endpoint: { metadata: { table: name } } }),
  };
}

function countUpTo(store: SqliteStore, name: string): number | undefined {
  // Not by an index, which may need a collation that is another program's.
  const sql = `SELECT count(*) FROM (SELECT 1 FROM main.${quote(name)} NOT INDEXED LIMIT ${MAX_COUNTED + 1})`;
  const count = store.values(sql).get() as number;
  return count > MAX_COUNTED ? undefined : count;
}
