/** Inspection: the tables and views of a database, as its catalogue has them. */
import type { InspectedCollection, OpenContext, StoreInspection } from "@omni/p2p-core/starter";
import { describeTables } from "../client/catalogue.ts";
import { openStore } from "../client/open.ts";
import type { Table } from "../client/table.ts";
import { type ListedTable, listTables } from "../client/tables.ts";
import { type PostgresqlEndpoint, tableNameText } from "../endpoint.ts";

/** Tables that are asked for at a time. */
const AT_A_TIME = 500;

/** What is in a database, or in the one schema that the endpoint names. No row is read: their numbers are the server's own estimates. */
export async function inspectDatabase(endpoint: PostgresqlEndpoint, context: OpenContext): Promise<StoreInspection> {
  const store = await openStore(endpoint, { ...context, role: "source" });
  try {
    const ask = store.asking(context.signal);
    const listed = await listTables(ask, endpoint.schema);
    const tables = new Map<number, Table>();
    for (let at = 0; at < listed.length; at += AT_A_TIME) {
      const oids = listed.slice(at, at + AT_A_TIME).map(({ oid }) => oid);
      for (const table of await describeTables(ask, oids)) tables.set(table.oid, table);
    }
    return {
      product: `PostgreSQL ${store.greeting.versionText}`,
      collections: listed.map((one) => inspected(one, tables.get(one.oid))),
    };
  } finally {
    await store.close();
  }
}

function inspected(listed: ListedTable, table: Table | undefined): InspectedCollection {
  const about = {
    name: tableNameText(listed.visible ? { schema: undefined, name: listed.name } : listed),
    endpoint: { metadata: { table: tableNameText(listed) } },
  };
  if (table === undefined) return { ...about, trouble: "it was dropped meanwhile" };
  const keys = new Set(table.key.columns.map(({ column }) => column));
  return {
    ...about,
    ...(table.estimatedRows >= 0 && { records: Math.round(table.estimatedRows) }),
    fields: table.columns.map((column) => ({
      name: column.field,
      type: column.declared,
      ...(keys.has(column) && { key: true }),
    })),
  };
}
