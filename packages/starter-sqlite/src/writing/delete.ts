import {
  type DeleteOptions,
  type DeleteRef,
  type DeleteResult,
  isP2PError,
  messageOf,
  P2PError,
  type P2PId,
  recordDigest,
  type WriteFailure,
  Yielder,
} from "@omni/p2p-core/starter";
import { isRowError, sqliteCode } from "../client/errors.ts";
import { assertWritable } from "../client/schema.ts";
import { padded, quote, type Sql, type SqlValue, tuples } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import { rowidOf, type Table } from "../client/table.ts";
import { requireTable } from "../query/relation.ts";
import { INEXACT, type Row } from "../values/measure.ts";
import { storeId } from "../values/own-ids.ts";
import { RowPlan } from "../values/row-plan.ts";
import { foreignShape } from "./foreign-shape.ts";
import type { TransactionQueue } from "./transaction-queue.ts";

/** Records that one statement finds and one deletes: some milliseconds' work, after which the process has its turn. */
const CHUNK = 1024;
/** The same where records are read whole to be compared, however large they are. */
const COMPARED_CHUNK = 256;

/**
 * Deletes records by id, in one transaction. Where a digest is expected, it is compared inside of it (compare-and-delete).
 *
 * @throws P2PError `TARGET_NOT_WRITABLE` for a view and for a table without a key.
 */
export async function deleteRecords(
  store: SqliteStore,
  tableName: string,
  transactions: TransactionQueue,
  refs: readonly DeleteRef[],
  { signal }: DeleteOptions,
): Promise<DeleteResult> {
  signal.throwIfAborted();
  transactions.assertWritable();
  const exists = await transactions.work(signal, () => store.table(tableName) !== undefined);
  // A target is made when its first records come.
  if (!exists || refs.length === 0) return { deleted: 0, absent: refs.length, changed: [], failures: [] };
  const deleteTogether = (some: readonly DeleteRef[]) =>
    transactions.transaction(signal, async () => {
      const batch = await transactions.work(signal, () => new DeleteBatch(store, deletable(store, tableName), some));
      const yielder = new Yielder();
      while (await transactions.work(signal, () => batch.step())) {
        await yielder.yieldIfDue();
        signal.throwIfAborted();
      }
      return batch.result();
    });
  try {
    return await deleteTogether(refs);
  } catch (error) {
    if (!isOfOneRow(error)) throw error;
    // What is refused at the end of a transaction, or takes it back, does not say which record it was.
    return await oneByOne(refs, deleteTogether);
  }
}

/** Whether rows of a table can be deleted by their ids. Rowids without a key are no names: VACUUM gives rows new ones. */
export function hasDeletableRows(table: Table): boolean {
  return table.type === "table" && table.key.columns.length > 0;
}

function deletable(store: SqliteStore, name: string): Table {
  const table = requireTable(store, name);
  const { label } = store.endpoint;
  assertWritable(table, label);
  if (hasDeletableRows(table)) return table;
  throw new P2PError(
    "TARGET_NOT_WRITABLE",
    `No records can be deleted from ${label}: "${name}" has no key, and VACUUM may give its rows other rowids; ` +
      "give it a PRIMARY KEY, or name a unique column by the option key",
  );
}

/** Whether a whole transaction was refused for what may be the fault of one row: a deferred key, a trigger's ROLLBACK. */
function isOfOneRow(error: unknown): error is P2PError {
  return isP2PError(error) && isRowError(error.cause);
}

/** Tries each alone, and those that were refused again as long as others have been deleted meanwhile. */
async function oneByOne(
  refs: readonly DeleteRef[],
  deleteSome: (refs: readonly DeleteRef[]) => Promise<DeleteResult>,
): Promise<DeleteResult> {
  let [deleted, absent] = [0, 0];
  const changed: number[] = [];
  const failures: WriteFailure[] = [];
  // Of its own: each transaction by itself is over before a turn is due.
  const yielder = new Yielder();
  for (let left = [...refs.keys()]; ; ) {
    const refused: WriteFailure[] = [];
    for (const index of left) {
      await yielder.yieldIfDue();
      try {
        const result = await deleteSome([refs[index]!]);
        deleted += result.deleted;
        absent += result.absent;
        if (result.changed.length > 0) changed.push(index);
        refused.push(...result.failures.map((failure) => ({ ...failure, index })));
      } catch (error) {
        if (!isOfOneRow(error)) throw error;
        refused.push({ index, id: refs[index]!.id, error: refusal(refs[index]!.id, error.cause) });
      }
    }
    if (refused.length === 0 || refused.length === left.length) {
      failures.push(...refused);
      break;
    }
    // A record may be referred to by one before it as well as by one behind it.
    left = refused.map(({ index }) => index).reverse();
  }
  return { deleted, absent, changed: changed.sort(ascending), failures: failures.sort((a, b) => a.index - b.index) };
}

/** A row that is to be deleted. */
interface Doomed {
  readonly key: readonly SqlValue[];
  /** Who asks for it: the first, and those who name the row once more. */
  readonly indexes: number[];
}

interface Refused extends Doomed {
  readonly error: P2PError;
}

/** A row that was found. */
interface FoundRow {
  /** A text that no other row has. */
  readonly rowKey: string;
  /** Only where digests are expected. */
  readonly digest: string | undefined;
}

/** Where a row stands among those that are looked for. */
const AT = '"p2p:refs"."p2p:at"';

/** Deletes the records of one batch inside a transaction, many to a statement, and keeps account of them. */
class DeleteBatch {
  readonly #store: SqliteStore;
  readonly #table: Table;
  readonly #refs: readonly DeleteRef[];
  readonly #plan: RowPlan;
  readonly #comparesDigests: boolean;
  readonly #keyOf: (id: P2PId) => readonly SqlValue[] | undefined;
  #next = 0;
  #exact = false;
  #deleted = 0;
  #absent = 0;
  readonly #changed: number[] = [];
  readonly #failures: Refused[] = [];
  /** Rows that may be deleted when others are gone, by their row keys. */
  #refused = new Map<string, Refused>();

  constructor(store: SqliteStore, table: Table, refs: readonly DeleteRef[]) {
    this.#store = store;
    this.#table = table;
    this.#refs = refs;
    this.#comparesDigests = refs.some(({ expected }) => expected !== undefined);
    this.#plan = new RowPlan(table, this.#comparesDigests ? undefined : new Set(), [AT, rowKeyOf(table)]);
    this.#keyOf = keyReader(table);
  }

  /** Deletes some more. Returns whether there is more to do. */
  step(): boolean {
    if (this.#next >= this.#refs.length) return this.#retry();
    const end = Math.min(this.#next + (this.#comparesDigests ? COMPARED_CHUNK : CHUNK), this.#refs.length);
    const keys = this.#refs.slice(this.#next, end).map(({ id }) => this.#keyOf(id));
    const found = this.#find(keys);
    const doomed = new Map<string, Doomed>();
    const changed: number[] = [];
    const again: number[] = [];
    let absent = 0;
    for (const [at, key] of keys.entries()) {
      const index = this.#next + at;
      const row = found.get(at);
      const { expected } = this.#refs[index]!;
      if (row === undefined) absent++;
      else if (doomed.has(row.rowKey)) doomed.get(row.rowKey)!.indexes.push(index);
      else if (this.#refused.has(row.rowKey)) again.push(index);
      else if (expected !== undefined && row.digest !== expected) changed.push(index);
      else doomed.set(row.rowKey, { key: key!, indexes: [index] });
    }
    this.#delete(doomed);
    // Only now, when nothing of it can meet a lock any more.
    for (const index of again) this.#refused.get(found.get(index - this.#next)!.rowKey)!.indexes.push(index);
    this.#changed.push(...changed);
    this.#absent += absent;
    this.#next = end;
    return this.#next < this.#refs.length || this.#refused.size > 0;
  }

  result(): DeleteResult {
    const refused = [...this.#failures, ...this.#refused.values()];
    const failures = refused.flatMap(({ indexes, error }) =>
      indexes.map((index) => ({ index, id: this.#refs[index]!.id, error })),
    );
    return {
      deleted: this.#deleted,
      absent: this.#absent,
      changed: this.#changed,
      failures: failures.sort((a, b) => a.index - b.index),
    };
  }

  /** Tries once more what was refused, as long as that helps: a row may have been referred to by one behind it. */
  #retry(): boolean {
    const refused = this.#refused;
    if (refused.size === 0) return false;
    this.#refused = new Map();
    try {
      // From the other end, so that a chain of rows takes two rounds and not as many as it has links.
      for (const [rowKey, row] of [...refused].reverse()) this.#deleteSingly(rowKey, row);
    } catch (error) {
      this.#refused = refused;
      throw error;
    }
    return this.#refused.size > 0 && this.#refused.size < refused.size;
  }

  #delete(doomed: ReadonlyMap<string, Doomed>): void {
    if (doomed.size === 0) return;
    const rows = [...doomed.values()];
    const isDone = !this.#table.hasTriggers && this.#deleteTogether(rows);
    if (isDone) for (const row of rows) this.#count(row);
    else for (const [rowKey, row] of doomed) this.#deleteSingly(rowKey, row);
  }

  /** @returns whether all of them are gone. If not, they are all still there. */
  #deleteTogether(rows: readonly Doomed[]): boolean {
    const keys = rows.map(({ key }) => key);
    const outcome = this.#attempt(() => {
      const sql = deleteSql(this.#table, padded(keys, keys.at(-1)!));
      const { changes } = this.#store.rows(sql.text).run(...sql.params);
      // Fewer, where rows have taken others of the same table with them.
      return changes === rows.length || this.#find(keys).size === 0 ? undefined : new Error("some are still there");
    });
    return outcome === undefined;
  }

  #deleteSingly(rowKey: string, row: Doomed): void {
    let isIgnored = false;
    const error = this.#attempt(() => {
      const sql = deleteSql(this.#table, [row.key]);
      const { changes } = this.#store.rows(sql.text).run(...sql.params);
      isIgnored = (changes === 0 || this.#table.hasTriggers) && this.#find([row.key]).size > 0;
      return isIgnored ? new Error("a trigger kept it") : undefined;
    });
    const { id } = this.#refs[row.indexes[0]!]!;
    if (error === undefined) this.#count(row);
    else if (isIgnored) this.#failures.push({ ...row, error: this.#kept(id) });
    else this.#refused.set(rowKey, { ...row, error: refusal(id, error) });
  }

  #count({ indexes }: Doomed): void {
    this.#deleted++;
    this.#absent += indexes.length - 1;
  }

  #kept(id: P2PId): P2PError {
    return new P2PError("WRITE_FAILED", `A trigger of the table "${this.#table.name}" kept the record ${shown(id)}`);
  }

  /** Does something that is wholly taken back when it goes wrong. Returns what went wrong with the rows at hand. */
  #attempt(work: () => Error | undefined): unknown {
    const store = this.#store;
    store.rows('SAVEPOINT "p2p:delete"').run();
    let refused: unknown;
    try {
      refused = work();
    } catch (error) {
      // A trigger may have rolled the whole transaction back.
      if (!store.db.inTransaction) throw error;
      refused = error;
    }
    if (refused !== undefined) store.rows('ROLLBACK TO "p2p:delete"').run();
    store.rows('RELEASE "p2p:delete"').run();
    if (sqliteCode(refused) !== undefined && !isRowError(refused)) throw refused;
    return refused;
  }

  /** The rows with these keys, by the index of the key in the list. */
  #find(keys: readonly (readonly SqlValue[] | undefined)[]): Map<number, FoundRow> {
    const asked = keys.flatMap((key, at) => (key === undefined ? [] : [[at, ...key]]));
    const found = new Map<number, FoundRow>();
    if (asked.length === 0) return found;
    // NULL is equal to nothing.
    const sql = findSql(this.#table, this.#plan.select, padded(asked, [-1, ...asked[0]!.slice(1).fill(null)]));
    const [at, rowKey] = this.#plan.position as readonly [string, string];
    // One by one: of records that are compared there may be more than memory bears.
    for (const row of this.#store.rows(sql.text, this.#exact).iterate(...sql.params) as Iterable<Row>) {
      if (this.#plan.measure(row, this.#exact) === INEXACT) {
        this.#exact = true;
        return this.#find(keys);
      }
      const index = Number(row[at]);
      const its = row[rowKey] as string;
      const record = this.#comparesDigests ? this.#plan.record(row, this.#exact) : undefined;
      found.set(index, { rowKey: its, digest: record && recordDigest(record) });
    }
    return found;
  }
}

/** The key of the row that a record with an id would replace; `undefined` where there is none that it could. */
function keyReader(table: Table): (id: P2PId) => readonly SqlValue[] | undefined {
  if (table.own) {
    const { kind } = table.key.columns[0]!.column;
    return (id) => [storeId(kind, id)];
  }
  // As a copy of a table like it would be written, which takes what an ordinary record does and more.
  const shape = foreignShape(table, ["id"], { ignoreUnknown: true, twin: true });
  return (id) => {
    const key: SqlValue[] = [];
    try {
      shape.encode({ id }, key, 0);
    } catch (error) {
      if (isP2PError(error, "TYPE_MISMATCH") || isP2PError(error, "INVALID_RECORD")) return undefined;
      throw error;
    }
    return key;
  };
}

/** A text that tells a row of a table from all others, whatever is in its key. */
function rowKeyOf(table: Table): string {
  if (table.rowid !== undefined) return `CAST(${rowidOf(table)} AS TEXT)`;
  const cells = table.key.columns.map(({ column }) => {
    const cell = quote(column.name);
    return `typeof(${cell}) || CASE WHEN typeof(${cell}) IN ('text', 'blob') THEN hex(${cell}) ELSE quote(${cell}) END`;
  });
  return cells.join(" || ',' || ");
}

function keySides({ name, key }: Table): string[] {
  return key.columns.map(({ column, collation }) => `${quote(name)}.${quote(column.name)} COLLATE ${quote(collation)}`);
}

/** Finds rows by their keys, each with its index in the list. Keys are compared as an upsert compares them. */
function findSql(table: Table, select: string, keys: readonly (readonly SqlValue[])[]): Sql {
  const names = ["p2p:at", ...table.key.columns.map((_, at) => `p2p:${at}`)].map(quote);
  const equal = keySides(table).map((side, at) => `${side} = "p2p:refs".${quote(`p2p:${at}`)}`);
  // CROSS JOIN: SQLite must go through the keys, and look up each row.
  const text =
    `WITH "p2p:refs" (${names.join(", ")}) AS (VALUES ${tuples(keys)}) SELECT ${select} ` +
    `FROM "p2p:refs" CROSS JOIN main.${quote(table.name)} ON ${equal.join(" AND ")}`;
  return { text, params: keys.flat() };
}

function deleteSql(table: Table, keys: readonly (readonly SqlValue[])[]): Sql {
  const sides = keySides(table);
  const list = sides.length === 1 ? keys.map(() => "?").join(", ") : `VALUES ${tuples(keys)}`;
  const side = sides.length === 1 ? sides[0] : `(${sides.join(", ")})`;
  return { text: `DELETE FROM main.${quote(table.name)} WHERE ${side} IN (${list})`, params: keys.flat() };
}

function refusal(id: P2PId, cause: unknown): P2PError {
  const advice =
    sqliteCode(cause) === "SQLITE_CONSTRAINT_FOREIGNKEY"
      ? "; delete what refers to it first, or put the check off by the option foreignKeys (deferred, off)"
      : "";
  return new P2PError("WRITE_FAILED", `The record ${shown(id)} could not be deleted: ${messageOf(cause)}${advice}`, {
    cause,
  });
}

function shown(id: P2PId): string {
  return JSON.stringify(String(id)).slice(0, 80);
}

function ascending(a: number, b: number): number {
  return a - b;
}
