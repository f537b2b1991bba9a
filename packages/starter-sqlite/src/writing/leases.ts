/** Leases in a file: a table of its own, which is there while a lease is held, by the clock of the host. */
import {
  type KeptLease,
  type LeaseAnswer,
  type LeaseKeeper,
  type LeaseRequest,
  leaseRefusal,
} from "@omni/p2p-core/starter";
import { foldName } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import { CHANGES_MARK } from "../types.ts";

const LEASES = "p2p_leases";

/** Marked as what is this library's own, so that no list has it. */
const CREATE = `CREATE TABLE IF NOT EXISTS main.${LEASES} ("name" TEXT PRIMARY KEY, "run" TEXT, "owner" TEXT, "holder" TEXT, "until" REAL ${CHANGES_MARK})`;

/** Does something in one write transaction, between others. */
type Transaction = <T>(signal: AbortSignal, work: () => T) => Promise<T>;

export function sqliteLeases(store: SqliteStore, table: string, transaction: Transaction): LeaseKeeper {
  const place = foldName(table);
  const placed = (name: string) => `${name} ${place}`;
  return {
    take: (request, signal) => transaction(signal, () => take(store, placed(request.name), request)),
    release: ({ name, run }, signal) =>
      transaction(signal, () => {
        if (!isThere(store)) return;
        store.db
          .prepare(`DELETE FROM main.${LEASES} WHERE (name = ? AND run = ?) OR until <= ?`)
          .run(placed(name), run, Date.now());
        const some = store.db.prepare(`SELECT 1 FROM main.${LEASES} LIMIT 1`).get();
        if (some === undefined) store.db.exec(`DROP TABLE main.${LEASES}`);
      }),
  };
}

function take(store: SqliteStore, name: string, request: LeaseRequest): LeaseAnswer {
  const { run, owner, holder, ttlMs } = request;
  const { db } = store;
  const now = Date.now();
  if (!isThere(store)) db.exec(CREATE);
  const there = db
    .prepare<[string], KeptLease>(`SELECT run, owner, holder, until FROM main.${LEASES} WHERE name = ?`)
    .get(name);
  const refusal = leaseRefusal(there, request, now);
  if (refusal) return refusal;
  db.prepare(`INSERT OR REPLACE INTO main.${LEASES} VALUES (?, ?, ?, ?, ?)`).run(name, run, owner, holder, now + ttlMs);
  return { held: true };
}

function isThere({ db }: SqliteStore): boolean {
  return db.prepare("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?").get(LEASES) !== undefined;
}
