/** Identity: which table of which database of which cluster an endpoint leads to, and whether it is still the one of before. */
import type { StoreIdentity } from "@omni/p2p-core/starter";
import { isServerError } from "./errors.ts";
import type { PostgresqlStore } from "./store.ts";

/** The number that a cluster is given when it is made, which base backups and replicas share with it. */
const CLUSTER_SQL = "SELECT system_identifier FROM pg_catalog.pg_control_system()";

/**
 * A table is told by the cluster, the database and its own oid, which stays through writes, renaming, VACUUM FULL, TRUNCATE and
 * restarts, and which a table that is dropped and made anew does not get again. TRUNCATE gives it another file,
 * as do VACUUM FULL and some ALTER TABLE, so that this tells nothing certain.
 */
export async function identityOf(store: PostgresqlStore, signal: AbortSignal): Promise<StoreIdentity> {
  const name = store.tableName;
  if (name === undefined) return {};
  // Asked anew each time: it may have been dropped meanwhile.
  const table = await store.find(name, signal);
  const cluster = await clusterOf(store, signal);
  const { rows } = await store.query(
    "read",
    signal,
    "SELECT oid::pg_catalog.int8, datname FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
  );
  const [database] = rows[0]!;
  const known = table === undefined ? { schema: await schemaOf(store, signal), name: name.name } : table;
  return {
    ...(cluster !== undefined && {
      thing: `${cluster.text}, database ${database}, table ${JSON.stringify(known.schema)}.${JSON.stringify(known.name)}`,
    }),
    // Clusters that are made alike give out the same oids.
    ...(table !== undefined && {
      incarnation: `${cluster?.lasts === true ? `${cluster.text}, ` : ""}database ${database}, relation ${table.oid}`,
    }),
  };
}

/** Where a table that is not there yet would be made. */
async function schemaOf(store: PostgresqlStore, signal: AbortSignal): Promise<string> {
  if (store.tableName?.schema !== undefined) return store.tableName.schema;
  const { rows } = await store.query("read", signal, "SELECT pg_catalog.current_schema()");
  return rows[0]?.[0] ?? "";
}

/**
 * The cluster by its own number, which everybody may ask for unless an administrator has taken that away; else by when and where
 * the server runs, which at least no other server shares.
 */
async function clusterOf(
  store: PostgresqlStore,
  signal: AbortSignal,
): Promise<{ readonly text: string; readonly lasts: boolean } | undefined> {
  try {
    const { rows } = await store.query("read", signal, CLUSTER_SQL);
    return { text: `cluster ${rows[0]![0]}`, lasts: true };
  } catch (error) {
    signal.throwIfAborted();
    if (!isServerError((error as { readonly cause?: unknown }).cause)) throw error;
  }
  const { rows } = await store.query(
    "read",
    signal,
    "SELECT pg_catalog.pg_postmaster_start_time(), pg_catalog.inet_server_addr(), pg_catalog.inet_server_port()",
  );
  const [since, address, port] = rows[0]!;
  return address === null ? undefined : { text: `server ${address} ${port} since ${since}`, lasts: false };
}
