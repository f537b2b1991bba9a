import {
  CONTRACT_VERSION,
  type EndpointInfo,
  type OpenContext,
  type P2PDataTransferService,
  type P2PStarter,
} from "@omni/p2p-core/starter";
import { LogFeed, postgresqlChanges } from "./changes.ts";
import { identityOf } from "./client/identity.ts";
import { postgresqlLeases } from "./client/leases.ts";
import { openStore } from "./client/open.ts";
import { assertMayRead, assertMayWrite } from "./client/rights.ts";
import type { PostgresqlStore } from "./client/store.ts";
import type { Table } from "./client/table.ts";
import { parsePostgresqlEndpoint, postgresqlOptions, type TableName, tableNameText } from "./endpoint.ts";
import { postgresqlCollections } from "./inspecting/collections.ts";
import { describeFields } from "./inspecting/describe-mapping.ts";
import { inspectDatabase } from "./inspecting/inspect.ts";
import { TableReader } from "./read.ts";
import { postgresqlCapabilities, STORE } from "./types.ts";
import { TargetWriter } from "./write.ts";

/** The table of a target that names none, and whose source is no PostgreSQL database. */
const DEFAULT_TABLE = "records";

/**
 * Opens `postgresql:` endpoints: a table of a PostgreSQL database.
 *
 * @example
 * ```ts
 * await manager.establish("postgresql://localhost/app?table=docs", "sqlite:./docs.db?table=docs");
 * ```
 */
export const postgresqlStarter: P2PStarter = {
  storageType: STORE,
  contractVersion: CONTRACT_VERSION,
  threads: true,
  options: postgresqlOptions,
  capabilities: postgresqlCapabilities,
  async open(endpoint, context) {
    const store = await openStore(parsePostgresqlEndpoint(endpoint, context.role), context);
    try {
      return serve(store, await settleTable(store, context));
    } catch (error) {
      await store.close();
      throw error;
    }
  },
  changes: postgresqlChanges,
  completeTarget: nameTable,
  async inspect(endpoint, context) {
    return inspectDatabase(parsePostgresqlEndpoint(endpoint, "source"), context);
  },
  collections: postgresqlCollections,
  async describeMapping(endpoint, sample, context) {
    const store = await openStore(parsePostgresqlEndpoint(endpoint, "target"), { ...context, role: "target" });
    try {
      await settleTable(store, { ...context, role: "target" });
      return await describeFields(store, sample, context);
    } finally {
      await store.close();
    }
  },
};

/**
 * Makes sure of the table: what is wrong with one that is there is told now, and not when the first records come.
 *
 * @returns the table of a source.
 */
async function settleTable(store: PostgresqlStore, { role, signal }: OpenContext): Promise<Table | undefined> {
  if (role === "source") {
    const table = await store.requireTable(signal);
    await assertMayRead(store, table, signal);
    return table;
  }
  const { schema } = store.endpoint;
  if (store.tableName === undefined) store.nameTable({ schema, name: DEFAULT_TABLE });
  const table = await store.table(signal);
  if (table !== undefined) await store.requireTable(signal);
  await assertMayWrite(store, table, signal);
  return undefined;
}

function serve(store: PostgresqlStore, source: Table | undefined): P2PDataTransferService {
  // The log tells of tables alone, and nobody follows a target.
  const changes = source?.type === "table" || source?.type === "partitioned" ? new LogFeed(store) : undefined;
  const reader = new TableReader(store);
  const writer = new TargetWriter(store);
  return {
    capabilities: { ...postgresqlCapabilities, changes: changes !== undefined },
    ...(changes && { changes }),
    lookUp: (refs, query, options) => reader.lookUp(refs, query, options),
    deleteFromTarget: (refs, options) => writer.delete(refs, options),
    readFromSource: (query, options) => reader.read(query, options),
    writeToTarget: (records, options) => writer.write(records, options),
    schema: (query, signal) => reader.schema(query, signal),
    count: (query, signal) => reader.count(query, signal),
    partitions: (query, parts, signal) => reader.partitions(query, parts, signal),
    identity: (signal) => identityOf(store, signal),
    ...(source === undefined && { leases: postgresqlLeases(store) }),
    ping: async (signal) => void (await store.query("ping", signal, "SELECT 1")),
    close: async () => {
      await changes?.close();
      await store.close();
    },
  };
}

/** Names the table of a target that names none: as that of its source, where that is in PostgreSQL too. */
async function nameTable(target: EndpointInfo, source: EndpointInfo, context: OpenContext): Promise<EndpointInfo> {
  if (source.storageType !== STORE || target.metadata?.table !== undefined) return target;
  const name = await sourceTable(source, context);
  if (name === undefined) return target;
  // The schema is the target's own business.
  return { ...target, metadata: { ...target.metadata, table: tableNameText({ schema: undefined, name: name.name }) } };
}

async function sourceTable(source: EndpointInfo, context: OpenContext): Promise<TableName | undefined> {
  try {
    const endpoint = parsePostgresqlEndpoint(source, "source");
    if (endpoint.table !== undefined) return endpoint.table;
    const store = await openStore(endpoint, { ...context, role: "source" });
    try {
      await store.requireTable(context.signal);
      return store.tableName;
    } finally {
      await store.close();
    }
  } catch {
    // Whoever opens the source tells what is wrong with it.
    return undefined;
  }
}
