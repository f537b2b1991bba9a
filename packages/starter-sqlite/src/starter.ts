import {
  CONTRACT_VERSION,
  type EndpointInfo,
  type OpenContext,
  type P2PDataTransferService,
  P2PError,
  type P2PQuery,
  type P2PStarter,
  parseQuery,
  type SourceSchema,
} from "@omni/p2p-core/starter";
import { isBusy } from "./client/errors.ts";
import { identityOf } from "./client/identity.ts";
import { dropIfEmpty, openStore } from "./client/open.ts";
import type { SqliteStore } from "./client/store.ts";
import { type SqliteEndpoint, sqliteEndpoint, sqliteOptions } from "./endpoint.ts";
import { describeFields } from "./inspecting/describe-mapping.ts";
import { onlyTable, requireTable } from "./query/relation.ts";
import { IsolatedReader, inspectIsolated } from "./reading/isolated-reader.ts";
import { sqliteCapabilities } from "./types.ts";
import { schemaOf } from "./writing/declared-table.ts";
import { hasDeletableRows } from "./writing/delete.ts";
import { TargetWriter } from "./writing/target-writer.ts";

/** The table of a target that names none, and whose source is no SQLite file. */
const DEFAULT_TABLE = "records";

/**
 * Opens `sqlite:` endpoints: a table in a file.
 *
 * @example
 * ```ts
 * await manager.establish("sqlite:./data/knowledge.db?table=docs", "sqlite:./copy.db?table=docs");
 * ```
 */
export const sqliteStarter: P2PStarter = {
  storageType: "sqlite",
  contractVersion: CONTRACT_VERSION,
  options: sqliteOptions,
  capabilities: sqliteCapabilities,
  async open(endpoint, context) {
    return openSqlite(sqliteEndpoint(endpoint), context);
  },
  completeTarget: nameTable,
  async inspect(endpoint, context) {
    return inspectIsolated(sqliteEndpoint(endpoint), context);
  },
  async describeMapping(endpoint, sample, context) {
    const target = sqliteEndpoint(endpoint);
    return describeFields(target, target.options.table ?? DEFAULT_TABLE, sample, context);
  },
};

async function openSqlite(endpoint: SqliteEndpoint, context: OpenContext): Promise<P2PDataTransferService> {
  const store = await openStore(endpoint, context);
  try {
    const { table } = endpoint.options;
    const isSource = context.role === "source";
    const name = await store.patiently("opened", context.signal, () => {
      const chosen = table ?? (isSource ? onlyTable(store) : DEFAULT_TABLE);
      // What is wrong with a table that is there is told now, and not when the first records come.
      if (isSource || store.table(chosen) !== undefined) requireTable(store, chosen);
      return chosen;
    });
    const writer = new TargetWriter(store, name);
    await writer.open();
    return serve(store, name, writer);
  } catch (error) {
    store.close();
    throw error;
  }
}

function serve(store: SqliteStore, table: string, writer: TargetWriter): P2PDataTransferService {
  const reader = new IsolatedReader(store, table);
  let closing: Promise<void> | undefined;
  return {
    get capabilities() {
      return { ...sqliteCapabilities, deletes: mayDelete(store, table) };
    },
    lookUp: (refs, query, options) => reader.lookUp(refs, query, options),
    deleteFromTarget: (refs, options) => writer.delete(refs, options),
    readFromSource: (query, options) => reader.read(query, options),
    writeToTarget: (records, options) => writer.write(records, options),
    schema: (query, signal) => tellSchema(store, table, query, signal),
    count: (query, signal) => reader.count(query, signal),
    partitions: (query, parts, signal) => reader.partitions(query, parts, signal),
    identity: (signal) => identityOf(store, table, signal),
    ping: (signal) => ping(store, signal),
    close() {
      reader.close();
      closing ??= close(store, writer);
      return closing;
    },
  };
}

/** Asked of the table as it is, since a target's may have been made in the form of one without a key. */
function mayDelete(store: SqliteStore, name: string): boolean {
  try {
    const table = store.table(name);
    return table === undefined || hasDeletableRows(table);
  } catch {
    // It is locked, closed or damaged: who deletes from it is told then.
    return true;
  }
}

/** What the table declares; nothing for views, native SELECTs and virtual tables, which declare no table's form. */
async function tellSchema(
  store: SqliteStore,
  name: string,
  query: P2PQuery,
  signal: AbortSignal,
): Promise<SourceSchema | undefined> {
  const { fields, native } = parseQuery(query);
  if ((native.sqlite as { sql?: unknown } | undefined)?.sql !== undefined) return undefined;
  return store.patiently("read", signal, () => {
    const table = requireTable(store, name);
    return table.type === "table" ? schemaOf(store, table, fields) : undefined;
  });
}

/** Names the table of a target that names none: as that of its source, where that is a SQLite file too. */
async function nameTable(target: EndpointInfo, source: EndpointInfo, context: OpenContext): Promise<EndpointInfo> {
  if (source.storageType !== "sqlite" || target.metadata?.table !== undefined) return target;
  const table = await sourceTable(source, context);
  return table === undefined ? target : { ...target, metadata: { ...target.metadata, table } };
}

async function sourceTable(source: EndpointInfo, context: OpenContext): Promise<string | undefined> {
  try {
    const endpoint = sqliteEndpoint(source);
    if (endpoint.options.table !== undefined) return endpoint.options.table;
    const store = await openStore(endpoint, { ...context, role: "source" });
    try {
      return await store.patiently("opened", context.signal, () => onlyTable(store));
    } finally {
      store.close();
    }
  } catch {
    // Whoever opens the source tells what is wrong with it.
    return undefined;
  }
}

async function ping(store: SqliteStore, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  store.assertSameFile();
  try {
    store.schemaVersion();
  } catch (error) {
    // A file that another process has locked is alive.
    if (isBusy(error)) return;
    throw new P2PError("CONNECTION_LOST", `${store.endpoint.label} does not answer: ${(error as Error).message}`, {
      cause: error,
      retryable: true,
    });
  }
}

async function close(store: SqliteStore, writer: TargetWriter): Promise<void> {
  await writer.close();
  store.close();
  if (!store.readOnly) await dropIfEmpty(store.endpoint.file);
}
