/** The offsets of followers in a journal, by which it is trimmed. */
import { quote } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import { FOLLOWERS, type Journal } from "./journal.ts";

/** Rows that one statement deletes at most: some milliseconds, in which other programs wait for the lock. */
const TRIM_ROWS = 10_000;

/** Enters a follower that is not known yet. One that is keeps its offset, unless the journal has passed it. */
export function enterFollower(store: SqliteStore, { name, number }: Journal, follower: string, seq: number): void {
  store.db
    .prepare(
      `INSERT INTO main.${FOLLOWERS} ("journal", "follower", "seq", "seen") VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET seen = excluded.seen, ` +
        `seq = CASE WHEN seq + 1 < (SELECT min(seq) FROM main.${quote(name)}) THEN excluded.seq ELSE min(seq, excluded.seq) END`,
    )
    .run(number, follower, seq, Date.now());
}

/** Moves a follower's offset forward. One that was disabled meanwhile stays unknown. */
export function moveFollower(store: SqliteStore, { number }: Journal, follower: string, seq: number): void {
  store.db
    .prepare(`UPDATE main.${FOLLOWERS} SET seq = max(seq, ?), seen = ? WHERE journal = ? AND follower = ?`)
    .run(seq, Date.now(), number, follower);
}

export function forgetFollower(store: SqliteStore, { number }: Journal, follower: string): void {
  store.db.prepare(`DELETE FROM main.${FOLLOWERS} WHERE journal = ? AND follower = ?`).run(number, follower);
}

/**
 * Deletes some of what nobody needs any more: all before the row at which the last follower stands, which stays to tell
 * that the position is still that of this history.
 *
 * @returns whether there is more of it.
 */
export function trim(store: SqliteStore, { name, number }: Journal): boolean {
  const journal = `main.${quote(name)}`;
  const bounds = store.db
    .prepare<[number], { first: number | null; settled: number | null }>(
      `SELECT (SELECT min(seq) FROM ${journal}) AS first, min((SELECT max(seq) FROM ${journal}), ` +
        `coalesce((SELECT min(seq) FROM main.${FOLLOWERS} WHERE journal = ?), 9223372036854775807)) AS settled`,
    )
    .get(number)!;
  const { first, settled } = bounds;
  if (first === null || settled === null || settled <= first) return false;
  const end = Math.min(settled, first + TRIM_ROWS);
  store.db.prepare(`DELETE FROM ${journal} WHERE seq < ?`).run(end);
  return end < settled;
}
