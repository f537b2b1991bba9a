/** The catalogue of a file: its tables and views, with keys and foreign keys. */
import {
  type CollectionCatalogue,
  type CollectionName,
  collectionText,
  type EndpointInfo,
  type ForeignKey,
  isP2PError,
  type ListedCollection,
  messageOf,
  P2PError,
} from "@omni/p2p-core/starter";
import { isBusy } from "../client/errors.ts";
import { holdFile } from "../client/held-files.ts";
import { dropIfEmpty, openStore } from "../client/open.ts";
import { foldName, quote } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import { tableNames } from "../client/table.ts";
import { parseSqliteEndpoint } from "../endpoint.ts";

/** Rows up to which a table is counted; of a larger one its newest rowid, or what ANALYZE found, is the estimate. */
const MOST_COUNTED = 10_000;

export const sqliteCollections: CollectionCatalogue = {
  async list(endpoint, context) {
    assertNoTable(endpoint);
    const store = await openStore(parseSqliteEndpoint(endpoint), { ...context, role: "source" });
    try {
      return await store.patiently("read", context.signal, () => ({
        collections: tableNames(store.db).map(({ name, type }) => listed(store, name, type)),
      }));
    } finally {
      store.close();
    }
  },
  endpointOf(endpoint, name) {
    assertNoTable(endpoint);
    const table = collectionText(name);
    const named = { ...endpoint, metadata: { ...endpoint.metadata, table } };
    const { label } = parseSqliteEndpoint(named);
    // SQLite itself refuses it, but only when the first records come.
    if (foldName(table).startsWith("sqlite_")) {
      throw new P2PError(
        "INVALID_ENDPOINT",
        `Invalid endpoint ${label}: no table can be called "${table}", since SQLite keeps the names that begin with sqlite_ for itself`,
      );
    }
    return named;
  },
  nameForm: foldName,
  // It has a single writer, which all tables wait for.
  jobs: 1,
  async hold(endpoint, context) {
    const parsed = parseSqliteEndpoint(endpoint);
    const store = await openStore(parsed, context);
    const letGo = holdFile(parsed.file, store.readOnly, store.inode);
    // It is the first of those that are kept.
    store.close();
    return async () => {
      letGo();
      await dropIfEmpty(store);
    };
  },
  foreignKeys: {
    unchecked: (endpoint) => ({ ...endpoint, metadata: { ...endpoint.metadata, foreignKeys: "off" } }),
    async violations(endpoint, context) {
      const parsed = parseSqliteEndpoint(endpoint);
      const store = await openStore(parsed, { ...context, role: "source" });
      try {
        return await store.patiently("read", context.signal, () => {
          const rows = store.values("SELECT count(*) FROM pragma_foreign_key_check(?)").get(parsed.options.table ?? "");
          return Number(rows);
        });
      } finally {
        store.close();
      }
    },
  },
};

function assertNoTable(endpoint: EndpointInfo): void {
  const { options, label } = parseSqliteEndpoint(endpoint);
  const named = options.table ?? options.key;
  if (named === undefined) return;
  throw new P2PError(
    "INVALID_ENDPOINT",
    `Invalid endpoint ${label}: it names ${options.table === undefined ? "a key" : `the table "${named}"`}, and the whole file is asked for; leave that option out`,
  );
}

function listed(store: SqliteStore, name: string, type: string): ListedCollection {
  // A view may be a trap, so that nothing of it is looked at.
  if (type === "view") return { name, kind: "view" };
  if (name === "")
    return {
      name,
      kind: "table",
      trouble: "it has no name, so an endpoint cannot name it; give it one by ALTER TABLE",
    };
  try {
    const table = store.table(name);
    const key = table?.key.columns.map(({ column }) => column.field) ?? [];
    const foreignKeys = foreignKeysOf(store, name);
    const records = type === "virtual" ? undefined : estimated(store, name, table?.rowid);
    return {
      name,
      kind: "table",
      ...(records !== undefined && { records }),
      ...(key.length > 0 && { key }),
      ...(foreignKeys.length > 0 && { foreignKeys }),
    };
  } catch (error) {
    // A lock is waited for.
    if (isBusy(error) || isP2PError(error, "BUSY")) throw error;
    return { name, kind: "table", trouble: messageOf(error) };
  }
}

function foreignKeysOf(store: SqliteStore, name: string): ForeignKey[] {
  const rows = store.db
    .prepare<[string], { id: number; table: string; from: string }>(
      'SELECT id, "table", "from" FROM pragma_foreign_key_list(?) ORDER BY id, seq',
    )
    .all(name);
  const keys = new Map<number, { fields: string[]; references: CollectionName }>();
  for (const { id, table, from } of rows) {
    const key = keys.get(id) ?? { fields: [], references: { name: table } };
    key.fields.push(from);
    keys.set(id, key);
  }
  return [...keys.values()];
}

function estimated(store: SqliteStore, name: string, rowid: string | undefined): number | undefined {
  const from = `main.${quote(name)} NOT INDEXED`;
  const count = Number(store.values(`SELECT count(*) FROM (SELECT 1 FROM ${from} LIMIT ${MOST_COUNTED + 1})`).get());
  if (count <= MOST_COUNTED) return count;
  if (rowid === undefined) return undefined;
  const newest = Number(store.values(`SELECT max(${rowid}) FROM ${from}`).get());
  // Rowids that somebody gave may be any numbers.
  return Number.isSafeInteger(newest) && newest >= count ? newest : count;
}
