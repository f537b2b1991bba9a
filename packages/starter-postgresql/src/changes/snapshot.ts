/** Snapshots: which transactions a SELECT sees. The log tells a commit before they do, where a synchronous standby is waited for. */
import { sleep } from "@omni/p2p-core/starter";
import type { PostgresqlStore } from "../client/store.ts";

/** What a snapshot of the server says: transactions from `next` on have not ended, nor have those in `running`. */
interface Snapshot {
  readonly next: bigint;
  readonly running: ReadonlySet<bigint>;
}

/** Shortest and longest time, in ms, between two questions. */
const SOON_MS = 2;
const LATER_MS = 100;

async function takeSnapshot(store: PostgresqlStore, signal: AbortSignal): Promise<Snapshot> {
  const { rows } = await store.query("read", signal, "SELECT pg_catalog.txid_current_snapshot()");
  const [, next, running] = rows[0]![0]!.split(":");
  return { next: BigInt(next!), running: new Set(running === "" ? [] : running!.split(",").map(BigInt)) };
}

/** Whether look-ups see a transaction. Those of the log have 32 bits of their number: the nearest is meant. */
function sees({ next, running }: Snapshot, xid: number): boolean {
  const ahead = (BigInt(xid) - next) & 0xffff_ffffn;
  const whole = next + (ahead >= 0x8000_0000n ? ahead - 0x1_0000_0000n : ahead);
  return whole < next && !running.has(whole);
}

/** Waits until look-ups see all of these transactions. */
export async function untilSeen(store: PostgresqlStore, xids: readonly number[], signal: AbortSignal): Promise<void> {
  let left = xids;
  for (let wait = SOON_MS; left.length > 0; wait = Math.min(wait * 2, LATER_MS)) {
    const snapshot = await takeSnapshot(store, signal);
    left = left.filter((xid) => !sees(snapshot, xid));
    if (left.length > 0) await sleep(wait, signal);
  }
}

/** Transactions hold a lock on their own number until look-ups see what they did; all may see these locks. */
const RUNNING_SQL = `SELECT DISTINCT l.transactionid::pg_catalog.text FROM pg_catalog.pg_locks l
WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted`;

async function runningNow(store: PostgresqlStore, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const { rows } = await store.query("read", signal, RUNNING_SQL);
  return new Set(rows.map(([xid]) => xid!));
}

/**
 * Waits until every transaction has ended that is running now.
 *
 * @returns whether they have within so many ms; there may be one that someone has left open.
 */
export async function untilEnded(store: PostgresqlStore, mostMs: number, signal: AbortSignal): Promise<boolean> {
  const start = performance.now();
  let left = [...(await runningNow(store, signal))];
  for (let wait = SOON_MS; left.length > 0; wait = Math.min(wait * 2, LATER_MS)) {
    if (performance.now() - start > mostMs) return false;
    await sleep(wait, signal);
    const running = await runningNow(store, signal);
    left = left.filter((xid) => running.has(xid));
  }
  return true;
}
