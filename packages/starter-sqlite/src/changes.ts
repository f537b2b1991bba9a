/** Change data capture of a table: a feed that reads the journal which triggers fill. */
import {
  type ChangeBatch,
  type ChangeFeed,
  type ChangeReadOptions,
  type IdRef,
  isP2PError,
  type JsonValue,
  P2PError,
  sleep,
} from "@omni/p2p-core/starter";
import { enableCommand } from "./changes/command.ts";
import { asUnavailable } from "./changes/control.ts";
import { enterFollower, forgetFollower, moveFollower, trim } from "./changes/followers.ts";
import { findJournal, installJournal, type Journal, type JournalState, whyNone } from "./changes/journal.ts";
import { inTransaction } from "./changes/transaction.ts";
import { openAgain, openReader } from "./client/open.ts";
import { quote } from "./client/sql.ts";
import { inodeOf, type SqliteStore } from "./client/store.ts";
import type { Table } from "./client/table.ts";
import { requireTable } from "./query/relation.ts";
import { SIDECAR } from "./types.ts";
import { INEXACT, type Row } from "./values/measure.ts";
import { RowPlan } from "./values/row-plan.ts";

/** How often it is asked whether another connection has committed something, in milliseconds. That takes some microseconds. */
const POLL_MS = 40;
/** Rows of the journal in a batch. */
const PAGE = 1000;
/** How long a table may be away, in milliseconds: migration tools drop it, and then rename the new one. */
const AWAY_MS = 2000;
/** How often a follower that has nothing to settle is noted to be alive, in milliseconds. */
const ALIVE_MS = 300_000;

/** A row of the journal. Its time tells it from one of the same number in a history that was restored from a backup. */
interface Position {
  readonly epoch: string;
  readonly seq: number;
  readonly at: number;
}

interface Page {
  readonly refs: readonly IdRef[];
  /** The last row of the page; `undefined` where there is none. */
  readonly last: Position | undefined;
  readonly isFull: boolean;
}

/** The feed of a table. It has connections of its own: one that never writes, and one for what it notes of followers. */
export class TableChanges implements ChangeFeed {
  readonly #store: SqliteStore;
  readonly #table: string;
  readonly #open = new Set<SqliteStore>();
  readonly #acknowledged = new Map<string, { readonly seq: number; readonly time: number }>();
  #writer: Promise<SqliteStore> | undefined;
  #isClosed = false;

  constructor(store: SqliteStore, table: string) {
    this.#store = store;
    this.#table = table;
  }

  /** Whether the table can have a journal: a view and one without a key cannot. */
  get canBeTold(): boolean {
    try {
      const table = this.#store.table(this.#table);
      return table === undefined || whyNone(table) === undefined;
    } catch {
      // It is locked, closed or damaged: who follows it is told then.
      return true;
    }
  }

  async now(follower: string, signal: AbortSignal): Promise<JsonValue> {
    this.#assertSameFile();
    const look = <T>(store: SqliteStore, work: (journal: Journal) => T): T => {
      const { broken } = this.#requireJournal(store);
      if (broken !== undefined && store.readOnly) throw this.#unavailable(`: ${broken}`);
      return work(broken === undefined ? this.#requireJournal(store).journal : installJournal(store, this.#table));
    };
    try {
      return await this.#write(signal, (store) =>
        look(store, (journal) => {
          const position = newest(store, journal);
          enterFollower(store, journal, follower, position.seq);
          return { ...position };
        }),
      );
    } catch (error) {
      if (!isP2PError(error, "TARGET_NOT_WRITABLE")) throw error;
      // Whoever may only read is told of changes as long as the journal keeps them.
      const reader = await this.#reader();
      try {
        return await reader.patiently("read", signal, () =>
          reader.snapshot(() => look(reader, (journal) => ({ ...newest(reader, journal) }))),
        );
      } catch (readError) {
        throw isP2PError(readError, "CHANGES_UNAVAILABLE") ? asUnavailable(error, this.#store.endpoint) : readError;
      } finally {
        this.#close(reader);
      }
    }
  }

  async *read({ follower, after, maxWaitMs, signal }: ChangeReadOptions): AsyncGenerator<ChangeBatch> {
    signal.throwIfAborted();
    this.#assertSameFile();
    const reader = await this.#reader();
    try {
      let position = parsePosition(after) ?? this.#throwLost("its position is none of this store");
      await this.#enter(follower, position, signal);
      let version: unknown;
      let quietSince = performance.now();
      let awaySince: number | undefined;
      for (;;) {
        signal.throwIfAborted();
        this.#assertSameFile();
        const page = await this.#ifFree(reader, signal, () => {
          // Before the look, so that what comes after it is seen the next time.
          const now = reader.values("PRAGMA data_version").get();
          if (now === version && awaySince === undefined) return undefined;
          const found = reader.snapshot(() => this.#look(reader, position));
          version = now;
          return found;
        });
        if (page === "away") {
          awaySince ??= performance.now();
          if (performance.now() - awaySince > AWAY_MS) requireTable(reader, this.#table);
        } else if (page !== undefined) awaySince = undefined;
        if (page !== undefined && page !== "away" && page.last !== undefined) {
          position = page.last;
          quietSince = performance.now();
          if (page.isFull) version = undefined;
          yield { refs: page.refs, cursor: { ...position }, committedAt: new Date(position.at) };
          if (page.isFull) continue;
        } else if (performance.now() - quietSince >= maxWaitMs) {
          quietSince = performance.now();
          yield { refs: [], cursor: { ...position } };
        }
        await sleep(Math.min(POLL_MS, Math.max(1, maxWaitMs)), signal);
      }
    } finally {
      this.#close(reader);
    }
  }

  async acknowledge(follower: string, position: JsonValue, signal: AbortSignal): Promise<void> {
    const settled = parsePosition(position);
    const last = this.#acknowledged.get(follower);
    if (settled === undefined) return;
    if (last?.seq === settled.seq && performance.now() - last.time < ALIVE_MS) return;
    let isMore = true;
    for (let first = true; isMore; first = false) {
      isMore = await this.#note(signal, (store) => {
        const { journal } = findJournal(store, this.#table);
        if (journal?.epoch !== settled.epoch) return false;
        if (first) moveFollower(store, journal, follower, settled.seq);
        return trim(store, journal);
      });
      if (isMore) await sleep(1, signal);
    }
    this.#acknowledged.set(follower, { seq: settled.seq, time: performance.now() });
  }

  async release(follower: string, signal: AbortSignal): Promise<void> {
    this.#acknowledged.delete(follower);
    await this.#note(signal, (store) => {
      const { journal } = findJournal(store, this.#table);
      if (journal !== undefined) forgetFollower(store, journal, follower);
      return false;
    });
  }

  /** Closes what the feed has opened. */
  close(): void {
    this.#isClosed = true;
    for (const store of this.#open) this.#close(store);
  }

  /** What has come after a position. To be called in a snapshot. */
  #look(store: SqliteStore, { epoch, seq, at }: Position): Page | "away" {
    const { table, journal, broken } = findJournal(store, this.#table);
    if (table === undefined) return "away";
    if (journal === undefined) throw this.#unavailable("");
    if (broken !== undefined) this.#throwLost(broken);
    if (journal.epoch !== epoch) this.#throwLost("its journal was made anew");
    const name = `main.${quote(journal.name)}`;
    const bounds = store
      .rows(
        `SELECT (SELECT min(seq) FROM ${name}) AS first, (SELECT max(seq) FROM ${name}) AS last, (SELECT at FROM ${name} WHERE seq = ?) AS at`,
      )
      .get(seq) as { first: number | null; last: number | null; at: number | null };
    if (bounds.first === null || bounds.last === null) this.#throwLost("its journal was emptied by another program");
    if (bounds.first > seq + 1) this.#throwLost("the journal has forgotten the oldest of them, as its limit asks");
    if (bounds.last < seq || (bounds.at !== null && bounds.at !== at)) {
      this.#throwLost("the file was set back to an earlier state");
    }
    return bounds.last === seq ? { refs: [], last: undefined, isFull: false } : readPage(store, table, journal, seq);
  }

  /** The journal, in order or not. @throws P2PError `CHANGES_UNAVAILABLE` where there is none. */
  #requireJournal(store: SqliteStore): JournalState & { readonly journal: Journal } {
    const table = requireTable(store, this.#table);
    const none = whyNone(table);
    if (none !== undefined) throw new P2PError("CHANGES_UNAVAILABLE", `${this.#store.endpoint.label}: ${none}`);
    const { journal, ...state } = findJournal(store, this.#table);
    if (journal === undefined) throw this.#unavailable("");
    return { ...state, journal };
  }

  #unavailable(why: string): P2PError {
    const { endpoint } = this.#store;
    return new P2PError(
      "CHANGES_UNAVAILABLE",
      `${endpoint.label} keeps no journal of the changes of "${this.#table}"${why}; turn it on by ${enableCommand(endpoint, this.#table)}`,
    );
  }

  #throwLost(why: string): never {
    throw new P2PError(
      "CHANGES_LOST",
      `${this.#store.endpoint.label} can no longer tell all changes of "${this.#table}": ${why}; a mirror makes up for them`,
    );
  }

  #assertSameFile(): void {
    const { inode, endpoint } = this.#store;
    if (inode === undefined) return;
    const found = inodeOf(endpoint.file);
    if (found === inode) return;
    throw found === undefined
      ? new P2PError("SOURCE_NOT_FOUND", `The file of ${endpoint.label} was deleted or moved while it was followed`)
      : new P2PError("STORE_CHANGED", `The file of ${endpoint.label} was replaced by another while it was followed`);
  }

  /** Notes a follower that comes from an earlier run, where that can be. */
  async #enter(follower: string, { epoch, seq }: Position, signal: AbortSignal): Promise<void> {
    await this.#note(signal, (store) => {
      const { journal, broken } = findJournal(store, this.#table);
      if (journal?.epoch === epoch && broken === undefined) enterFollower(store, journal, follower, seq);
      return false;
    });
  }

  /** Notes something of a follower, and does without where the file is locked for long or cannot be written. */
  async #note(signal: AbortSignal, work: (store: SqliteStore) => boolean): Promise<boolean> {
    try {
      return await this.#write(signal, work);
    } catch (error) {
      if (isP2PError(error, "TARGET_NOT_WRITABLE") || isP2PError(error, "BUSY")) return false;
      throw error;
    }
  }

  async #write<T>(signal: AbortSignal, work: (store: SqliteStore) => T): Promise<T> {
    if (this.#isClosed) throw this.#closed();
    this.#writer ??= this.#opened(() => openAgain(this.#store.endpoint, this.#store.patienceMs, this.#store.inode));
    const writer = await this.#writer.catch((error: unknown) => {
      this.#writer = undefined;
      throw error;
    });
    writer.assertSameFile();
    return writer.patiently("written", signal, () => inTransaction(writer, () => work(writer)));
  }

  #reader(): Promise<SqliteStore> {
    return this.#opened(() => openReader(this.#store.endpoint, this.#store.patienceMs, this.#store.inode));
  }

  async #opened(open: () => Promise<SqliteStore>): Promise<SqliteStore> {
    const store = await open();
    if (this.#isClosed) {
      store.db.close();
      throw this.#closed();
    }
    this.#open.add(store);
    return store;
  }

  #closed(): P2PError {
    return new P2PError("CLOSED", `${this.#store.endpoint.label} was closed while its changes were read`);
  }

  /** Not by SqliteStore.close, which moves the write-ahead log of others into the file. */
  #close(store: SqliteStore): void {
    this.#open.delete(store);
    if (store.db.open) store.db.close();
  }

  /** Asks when no lock is in the way; nothing can have been committed where one stays. */
  async #ifFree<T>(store: SqliteStore, signal: AbortSignal, work: () => T): Promise<T | undefined> {
    if (!store.db.open) throw this.#closed();
    try {
      return await store.patiently("read", signal, work);
    } catch (error) {
      if (isP2PError(error, "BUSY")) return undefined;
      throw error;
    }
  }
}

/** The newest row of a journal, which is never without one. */
function newest(store: SqliteStore, { name, epoch }: Journal): Position {
  const { seq, at } = store.rows(`SELECT seq, at FROM main.${quote(name)} ORDER BY seq DESC LIMIT 1`).get() as {
    seq: number;
    at: number;
  };
  return { epoch, seq, at };
}

/** Reads rows of the journal as if they were those of the table, so that ids are what reading makes of them. */
function readPage(store: SqliteStore, table: Table, { name, epoch }: Journal, after: number, exact = false): Page {
  const plan = new RowPlan(table, new Set(), ['"p2p:seq"', '"p2p:at"']);
  const cells = table.key.columns.map(({ column }, at) => `k${at} AS ${quote(column.name)}`);
  if (table.own) cells.push(`side AS ${quote(SIDECAR)}`);
  const sql =
    `SELECT ${plan.select} FROM (SELECT seq AS "p2p:seq", at AS "p2p:at", ${cells.join(", ")} FROM main.${quote(name)}) ` +
    `WHERE "p2p:seq" > ? ORDER BY "p2p:seq" LIMIT ${PAGE}`;
  const rows = store.rows(sql, exact).all(after) as Row[];
  const [seqAlias, atAlias] = plan.position as readonly [string, string];
  const refs: IdRef[] = [];
  let [seq, at] = [after, 0];
  for (const row of rows) {
    if (plan.measure(row, exact) === INEXACT) return readPage(store, table, { name, epoch, number: 0 }, after, true);
    seq = Number(row[seqAlias]);
    at = Number(row[atAlias]);
    const record = plan.record(row, exact);
    if (record !== undefined) refs.push({ id: record.id });
  }
  return { refs, last: { epoch, seq, at }, isFull: rows.length === PAGE };
}

function parsePosition(position: JsonValue): Position | undefined {
  if (typeof position !== "object" || position === null || Array.isArray(position)) return undefined;
  const { epoch, seq, at } = position as Record<string, unknown>;
  const isSound = typeof epoch === "string" && Number.isSafeInteger(seq) && Number.isSafeInteger(at);
  return isSound ? ({ epoch, seq, at } as Position) : undefined;
}
