/** Opening: from an endpoint to a store that has answered. */
import type { OpenContext } from "@omni/p2p-core/starter";
import type { PostgresqlEndpoint } from "../endpoint.ts";
import { Connector, type Greeting } from "./connect.ts";
import { Pool } from "./pool.ts";
import { PostgresqlStore } from "./store.ts";

/** A pool that stores of one database share. */
interface HeldPool {
  readonly pool: Pool;
  readonly greeting: Greeting;
  holders: number;
}

/** Most connections of a held pool: what several tables at a time need, each with some of its own. */
const MOST_HELD = 32;

const held = new Map<string, HeldPool>();

/** What two endpoints share when the same sessions do for both. */
function sessionKey(
  {
    table: _,
    schema: __,
    key: ___,
    create: ____,
    unknownFields: _____,
    values: ______,
    ...session
  }: PostgresqlEndpoint,
  role: OpenContext["role"],
): string {
  return JSON.stringify([role, session]);
}

/**
 * Opens a pool that every store of this database shares until it is let go: tables are opened one after the other, and none of them
 * makes a connection of its own.
 */
export async function holdPool(endpoint: PostgresqlEndpoint, context: OpenContext): Promise<() => Promise<void>> {
  const key = sessionKey(endpoint, context.role);
  const opened = held.has(key) ? undefined : await openPool(endpoint, context);
  // Another may have opened one meanwhile.
  const shared = held.get(key) ?? opened!;
  held.set(key, shared);
  const letGo = shareOf(key, shared);
  if (opened !== undefined && opened !== shared) await opened.pool.close();
  return letGo;
}

/** Counts one more who uses a pool. @returns what lets it go: the last one closes it. */
function shareOf(key: string, shared: HeldPool): () => Promise<void> {
  shared.holders++;
  let isGone = false;
  return async () => {
    if (isGone) return;
    isGone = true;
    if (--shared.holders > 0) return;
    if (held.get(key) === shared) held.delete(key);
    await shared.pool.close();
  };
}

async function openPool(endpoint: PostgresqlEndpoint, { signal, connectTimeoutMs }: OpenContext): Promise<HeldPool> {
  const connector = new Connector(await import("pg"), endpoint, connectTimeoutMs);
  const { connection, greeting } = await connector.connect(signal);
  const pool = new Pool(async (later) => (await connector.connect(later)).connection, MOST_HELD, endpoint.label);
  pool.add(connection);
  return { pool, greeting, holders: 0 };
}

/**
 * Connects to the database of an endpoint; a source is only read.
 *
 * @throws P2PError as `P2PStarter.open` does.
 */
export async function openStore(
  endpoint: PostgresqlEndpoint,
  { role, signal, connectTimeoutMs }: OpenContext,
): Promise<PostgresqlStore> {
  const driver = await import("pg");
  const connector = new Connector(driver, endpoint, connectTimeoutMs);
  const options = { readOnly: role === "source", lockTimeoutMs: connectTimeoutMs };
  const key = sessionKey(endpoint, role);
  const shared = held.get(key);
  if (shared !== undefined) return PostgresqlStore.sharing(connector, shared, shareOf(key, shared), options);
  return PostgresqlStore.open(connector, options, signal);
}
