/** Replication slots: what the server keeps for a follower, so that none of its log is removed before it was told. */
import { P2PError, sleep } from "@omni/p2p-core/starter";
import { sqlState } from "../client/errors.ts";
import { literal, quote } from "../client/sql.ts";
import type { PostgresqlStore } from "../client/store.ts";
import { parseLsn } from "./lsn.ts";
import { ALL_SLOTS } from "./names.ts";
import { unavailable } from "./published-table.ts";

/** A slot as the server lists it. */
export interface Slot {
  readonly name: string;
  /** The process that reads by it now. */
  readonly activePid: number | undefined;
  /** Bytes of the log that are kept for it. */
  readonly heldBytes: number | undefined;
  /** Up to here its follower needs nothing any more. */
  readonly confirmed: bigint | undefined;
  /** Whether what it needs is gone. */
  readonly lost: boolean;
  /** Whether it is one of this database that tells by pgoutput. */
  readonly usable: boolean;
}

/** PostgreSQL 13 tells of each slot whether its part of the log is still there. */
const SLOTS_SQL = `SELECT s.slot_name, s.active_pid,
  pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, s.restart_lsn)::pg_catalog.int8,
  s.confirmed_flush_lsn, coalesce(pg_catalog.to_json(s) ->> 'wal_status' = 'lost', false) OR coalesce((pg_catalog.to_json(s) ->> 'invalidation_reason') IS NOT NULL, false),
  s.plugin = 'pgoutput' AND s.database = pg_catalog.current_database()
FROM pg_catalog.pg_replication_slots s`;

/** Time, in ms, in which a process that was ended gives up its slot. */
const GIVEN_UP_MS = 5000;

async function slotsWhere(
  store: PostgresqlStore,
  condition: string,
  param: string,
  signal: AbortSignal,
): Promise<readonly Slot[]> {
  const { rows } = await store.query("read", signal, `${SLOTS_SQL} WHERE ${condition} ORDER BY s.slot_name`, [param]);
  return rows.map(([name, pid, held, confirmed, lost, usable]) => ({
    name: name!,
    activePid: pid == null ? undefined : Number(pid),
    heldBytes: held == null ? undefined : Math.max(0, Number(held)),
    confirmed: confirmed == null ? undefined : parseLsn(confirmed),
    lost: lost === "t",
    usable: usable === "t",
  }));
}

/** The slot of this name. */
export async function findSlot(store: PostgresqlStore, name: string, signal: AbortSignal): Promise<Slot | undefined> {
  const [slot] = await slotsWhere(store, "s.slot_name = $1::pg_catalog.name", name, signal);
  return slot;
}

/** The slots in this database whose followers are of this library, whatever their table. */
export function listSlots(store: PostgresqlStore, signal: AbortSignal): Promise<readonly Slot[]> {
  return slotsWhere(
    store,
    "s.slot_name LIKE $1::pg_catalog.text AND s.plugin = 'pgoutput' AND s.database = pg_catalog.current_database()",
    ALL_SLOTS,
    signal,
  );
}

/**
 * Makes a slot. The server waits until all transactions have ended that are open now, so that from there on it can tell all of
 * each.
 *
 * @throws P2PError `CHANGES_UNAVAILABLE`, or `BUSY` where one of them does not end
 */
export async function createSlot(store: PostgresqlStore, name: string, signal: AbortSignal): Promise<bigint> {
  try {
    const text = "SELECT lsn FROM pg_catalog.pg_create_logical_replication_slot($1::pg_catalog.name, 'pgoutput')";
    const { rows } = await store.query("read", signal, text, [name]);
    return parseLsn(rows[0]![0]!)!;
  } catch (error) {
    signal.throwIfAborted();
    const cause = (error as P2PError).cause;
    switch (sqlState(cause)) {
      case "42501":
        throw unavailable(store, noReplication(store), cause);
      case "53400":
        throw unavailable(
          store,
          "all replication slots are in use; drop one that nobody needs (SELECT pg_drop_replication_slot(…)), or raise max_replication_slots and restart the server",
          cause,
        );
      case "55P03":
        throw new P2PError("BUSY", await whoHinders(store, signal), { cause, retryable: true });
      default:
        throw error;
    }
  }
}

/** What to say to a user without the right. */
export function noReplication({ endpoint: { user } }: PostgresqlStore): string {
  return `the user may not use replication; ALTER ROLE ${quote(user)} REPLICATION allows it (on Amazon RDS, GRANT rds_replication TO ${quote(user)})`;
}

async function whoHinders(store: PostgresqlStore, signal: AbortSignal): Promise<string> {
  const { rows } = await store.query(
    "read",
    signal,
    `SELECT 'process ' || a.pid || ' since ' || a.xact_start FROM pg_catalog.pg_stat_activity a WHERE a.backend_xid IS NOT NULL
     UNION ALL SELECT 'prepared transaction ' || pg_catalog.quote_literal(p.gid) || ' since ' || p.prepared FROM pg_catalog.pg_prepared_xacts p LIMIT 5`,
  );
  const who = rows.map(([text]) => text).join("; ");
  return `Cannot begin to follow ${store.label}: the server makes a replication slot only when the transactions have ended that were open before${who === "" ? "" : ` (${who})`}; end them, or try again later`;
}

/**
 * Drops a slot of this library, and ends whoever reads by it. It is no error where there is none.
 *
 * @throws P2PError `CHANGES_UNAVAILABLE` where the user may not, or the slot is another's.
 */
export async function dropSlot(store: PostgresqlStore, name: string, signal: AbortSignal): Promise<void> {
  const start = performance.now();
  while (true) {
    const slot = await findSlot(store, name, signal);
    if (slot === undefined) return;
    if (!slot.usable) throw notOurs(store, name);
    try {
      if (slot.activePid !== undefined) await endReader(store, name, signal);
      await store.query("read", signal, `SELECT pg_catalog.pg_drop_replication_slot(${literal(name)})`);
      return;
    } catch (error) {
      signal.throwIfAborted();
      const { cause } = error as P2PError;
      const state = sqlState(cause);
      if (state === "42704") return;
      if (state === "42501") throw unavailable(store, noReplication(store), cause);
      if (state !== "55006" || performance.now() - start > GIVEN_UP_MS) throw error;
      await sleep(50, signal);
    }
  }
}

/** Ends the process that reads by a slot at this moment: one that did a while ago may be another's by now. */
async function endReader(store: PostgresqlStore, name: string, signal: AbortSignal): Promise<void> {
  const text = `SELECT pg_catalog.pg_terminate_backend(s.active_pid) FROM pg_catalog.pg_replication_slots s
    WHERE s.slot_name = $1::pg_catalog.name AND s.active_pid IS NOT NULL`;
  try {
    await store.query("read", signal, text, [name]);
  } catch (error) {
    signal.throwIfAborted();
    const { cause } = error as P2PError;
    if (sqlState(cause) !== "42501") throw error;
    throw unavailable(
      store,
      `another user reads by the replication slot ${name}, whose process may not be ended (${(cause as Error).message}); stop that follower`,
      cause,
    );
  }
}

/** The error of a slot that has the name of one of ours, and is another's. */
export function notOurs(store: PostgresqlStore, name: string): P2PError {
  return unavailable(store, `the replication slot ${name} is not one of this library; drop it`);
}

/** Moves on a slot by which nobody reads. It is no error where there is none, or where it has moved further. */
export async function advanceSlot(
  store: PostgresqlStore,
  name: string,
  to: string,
  signal: AbortSignal,
): Promise<void> {
  const text = `SELECT pg_catalog.pg_replication_slot_advance(s.slot_name, $2::pg_catalog.pg_lsn) FROM pg_catalog.pg_replication_slots s
    WHERE s.slot_name = $1::pg_catalog.name AND s.active_pid IS NULL AND s.confirmed_flush_lsn < $2::pg_catalog.pg_lsn`;
  try {
    await store.query("read", signal, text, [name, to]);
  } catch (error) {
    signal.throwIfAborted();
    // Another reads by it now, it was dropped, or it holds nothing any more: reading tells what there is to tell.
    if (!/^(?:55006|42704|55000)$/.test(sqlState((error as P2PError).cause) ?? "")) throw error;
  }
}
