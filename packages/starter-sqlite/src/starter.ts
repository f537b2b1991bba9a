import {
  CONTRACT_VERSION,
  type EndpointInfo,
  type OpenContext,
  type P2PDataTransferService,
  P2PError,
  type P2PStarter,
} from "@omni/p2p-core/starter";
import { changeStatus, disableChanges, enableChanges } from "./changes/control.ts";
import { TableChanges } from "./changes.ts";
import { isBusy } from "./client/errors.ts";
import { identityOf } from "./client/identity.ts";
import { dropIfEmpty, openStore } from "./client/open.ts";
import type { SqliteStore } from "./client/store.ts";
import { isTableOfChanges } from "./client/table.ts";
import { parseSqliteEndpoint, type SqliteEndpoint, sqliteOptions } from "./endpoint.ts";
import { sqliteCollections } from "./inspecting/collections.ts";
import { describeFields } from "./inspecting/describe-mapping.ts";
import { onlyTable, requireTable } from "./query/relation.ts";
import { TableReader } from "./read.ts";
import { inspectInChild } from "./reading/inspect-in-child.ts";
import { sqliteCapabilities } from "./types.ts";
import { TargetWriter } from "./write.ts";
import { sqliteLeases } from "./writing/leases.ts";

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
  threads: true,
  options: sqliteOptions,
  capabilities: sqliteCapabilities,
  async open(endpoint, context) {
    return openSqlite(parseSqliteEndpoint(endpoint), context);
  },
  completeTarget: nameTable,
  async inspect(endpoint, context) {
    return inspectInChild(parseSqliteEndpoint(endpoint), context);
  },
  collections: sqliteCollections,
  async describeMapping(endpoint, sample, context) {
    const target = parseSqliteEndpoint(endpoint);
    return describeFields(target, target.options.table ?? DEFAULT_TABLE, sample, context);
  },
  changes: {
    status: async (endpoint, context) => changeStatus(parseSqliteEndpoint(endpoint), context),
    enable: async (endpoint, context) => enableChanges(parseSqliteEndpoint(endpoint), context),
    disable: async (endpoint, context, follower) => disableChanges(parseSqliteEndpoint(endpoint), context, follower),
  },
};

async function openSqlite(endpoint: SqliteEndpoint, context: OpenContext): Promise<P2PDataTransferService> {
  const store = await openStore(endpoint, context);
  try {
    const { table } = endpoint.options;
    const isSource = context.role === "source";
    const name = await store.patiently("opened", context.signal, () => {
      const chosen = table ?? (isSource ? onlyTable(store) : DEFAULT_TABLE);
      if (isTableOfChanges(store.db, chosen)) throw isNoStore(endpoint, chosen);
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

function isNoStore({ label }: SqliteEndpoint, table: string): P2PError {
  return new P2PError(
    "INVALID_ENDPOINT",
    `Invalid endpoint ${label}: "${table}" belongs to the journal of changes and is no store; name the table that is followed`,
  );
}

function serve(store: SqliteStore, table: string, writer: TargetWriter): P2PDataTransferService {
  const reader = new TableReader(store, table);
  const changes = new TableChanges(store, table);
  let closing: Promise<void> | undefined;
  return {
    get capabilities() {
      return { ...sqliteCapabilities, deletes: writer.deletes, changes: changes.canBeTold };
    },
    lookUp: (refs, query, options) => writer.between(options.signal, () => reader.lookUp(refs, query, options)),
    deleteFromTarget: (refs, options) => writer.delete(refs, options),
    readFromSource: (query, options) => reader.read(query, options),
    writeToTarget: (records, options) => writer.write(records, options),
    schema: (query, signal) => reader.schema(query, signal),
    count: (query, signal) => reader.count(query, signal),
    partitions: (query, parts, signal) => reader.partitions(query, parts, signal),
    changes,
    ...(!store.readOnly && {
      leases: sqliteLeases(store, table, (signal, work) => writer.apart(signal, work)),
    }),
    identity: (signal) => identityOf(store, table, signal),
    ping: (signal) => ping(store, signal),
    close() {
      reader.close();
      changes.close();
      closing ??= close(store, writer);
      return closing;
    },
  };
}

/** Names the table of a target that names none: as that of its source, where that is a SQLite file too. */
async function nameTable(target: EndpointInfo, source: EndpointInfo, context: OpenContext): Promise<EndpointInfo> {
  if (source.storageType !== "sqlite" || target.metadata?.table !== undefined) return target;
  const table = await sourceTable(source, context);
  return table === undefined ? target : { ...target, metadata: { ...target.metadata, table } };
}

async function sourceTable(source: EndpointInfo, context: OpenContext): Promise<string | undefined> {
  try {
    const endpoint = parseSqliteEndpoint(source);
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
  await dropIfEmpty(store);
}
