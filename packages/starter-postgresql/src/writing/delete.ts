/** Deleting records by id, in one transaction; where a digest is expected it is compared inside of it (compare-and-delete). */
import {
  type DeleteOptions,
  type DeleteRef,
  type DeleteResult,
  isP2PError,
  P2PError,
  type P2PId,
  recordDigest,
  type WriteFailure,
  Yielder,
} from "@omni/p2p-core/starter";
import { recordError, sqlState } from "../client/errors.ts";
import type { Cell, Session } from "../client/session.ts";
import type { PostgresqlStore } from "../client/store.ts";
import type { Table } from "../client/table.ts";
import { storeId } from "../values/own-ids.ts";
import { ownIdType, RowPlan } from "../values/row-plan.ts";
import { ForeignShape } from "./foreign-shape.ts";
import { compareKeys } from "./key-order.ts";
import { keyText, type PendingRow, type WrittenColumn, writtenColumn } from "./row-shape.ts";
import { Savepoint } from "./savepoint.ts";
import { isStale, MOST_ROUNDS } from "./stale.ts";
import { deleteSql, lockColumnsSql, lockSchemaSql, lockSql, numbersOf, presentSql } from "./statements.ts";

/** Records that are read whole to be compared at a time, however large they are. */
const COMPARED = 256;
/** Records that one statement deletes. */
const DELETED = 5000;

/** @throws P2PError `TARGET_NOT_WRITABLE` for a table without a key. */
export async function deleteRecords(
  store: PostgresqlStore,
  refs: readonly DeleteRef[],
  options: DeleteOptions,
  round = 1,
): Promise<DeleteResult> {
  const { signal } = options;
  signal.throwIfAborted();
  const table = await store.table(signal);
  // A target is made when its first records come.
  if (table === undefined || refs.length === 0) return { deleted: 0, absent: refs.length, changed: [], failures: [] };
  if (table.key.columns.length === 0) {
    throw new P2PError(
      "TARGET_NOT_WRITABLE",
      `No records can be deleted from ${store.label}: "${table.name}" has no key; give it a PRIMARY KEY, or name unique columns by the option key`,
    );
  }
  const compares = refs.some(({ expected }) => expected !== undefined);
  const deleteTogether = async (some: readonly DeleteRef[], checksDeferred: boolean) => {
    let isOver = false;
    try {
      return await store.transaction("write", signal, async (session) => {
        // A digest without a column that has come meanwhile would be that of another record.
        if (table.own) await session.script(lockSchemaSql(table));
        else if (compares) await session.script(lockColumnsSql(table));
        const batch = new DeleteBatch(session, store, table, some, checksDeferred);
        const result = await batch.run();
        isOver = true;
        return result;
      });
    } catch (error) {
      if (isOver && !checksDeferred && recordError((error as P2PError).cause, store.label) !== undefined)
        return undefined;
      throw error;
    }
  };
  try {
    // What is refused at the end of a transaction does not say which record it was.
    return (await deleteTogether(refs, false)) ?? (await deleteTogether(refs, true))!;
  } catch (error) {
    signal.throwIfAborted();
    if (isStale(error)) {
      store.forgetTable();
      if ((table.own || compares) && round < MOST_ROUNDS) return deleteRecords(store, refs, options, round + 1);
      if ((await store.table(signal)) === undefined)
        return { deleted: 0, absent: refs.length, changed: [], failures: [] };
    }
    throw error;
  }
}

interface Refused {
  readonly row: PendingRow;
  readonly error: P2PError;
  /** Whether it may go when others are gone. */
  readonly mayWait: boolean;
}

/** Deletes the records of one batch inside a transaction, many to a statement, and keeps account of them. */
class DeleteBatch {
  readonly #session: Session;
  readonly #table: Table;
  readonly #label: string;
  readonly #refs: readonly DeleteRef[];
  readonly #columns: readonly WrittenColumn[];
  readonly #savepoint: Savepoint;
  readonly #plan: RowPlan;
  readonly #keyOf: (id: P2PId) => Cell[] | undefined;
  readonly #yielder = new Yielder();
  #deleted = 0;
  #refused: Refused[] = [];
  readonly #changed: number[] = [];
  readonly #failures: WriteFailure[] = [];

  constructor(
    session: Session,
    store: PostgresqlStore,
    table: Table,
    refs: readonly DeleteRef[],
    checksDeferred: boolean,
  ) {
    this.#session = session;
    this.#table = table;
    this.#label = store.label;
    this.#refs = refs;
    this.#columns = table.key.columns.map(({ column }) => writtenColumn(column, true));
    this.#savepoint = new Savepoint(session, checksDeferred);
    this.#plan = new RowPlan(table, undefined, { plain: store.endpoint.values === "plain" });
    this.#keyOf = keyReader(table);
  }

  async run(): Promise<DeleteResult> {
    const rows: PendingRow[] = [];
    for (const [index, { id }] of this.#refs.entries()) {
      const cells = this.#keyOf(id);
      if (cells !== undefined) rows.push({ index, cells, key: keyText(cells, cells.length) });
    }
    const compare = compareKeys(this.#table);
    rows.sort((one, other) => compare(one.key, other.key));
    const repeated = new Map<string, PendingRow[]>();
    const compared: PendingRow[] = [];
    const plain: PendingRow[] = [];
    for (const [at, row] of rows.entries()) {
      if (at > 0 && rows[at - 1]!.key === row.key) {
        const others = repeated.get(row.key) ?? [];
        repeated.set(row.key, others);
        others.push(row);
      } else if (this.#refs[row.index]!.expected === undefined) plain.push(row);
      else compared.push(row);
    }
    await this.#deleteAll(plain, compared);
    // Once more with those that name a row again, which is there still where it was not as the first one expected it.
    for (let again = takeFirsts(repeated); again.length > 0; again = takeFirsts(repeated)) {
      const [withDigest, without] = [
        again.filter((row) => this.#expects(row)),
        again.filter((row) => !this.#expects(row)),
      ];
      await this.#deleteAll(without, withDigest);
    }
    for (const { row, error } of this.#refused) this.#failures.push(this.#failure(row, error));
    this.#changed.sort((one, other) => one - other);
    this.#failures.sort((one, other) => one.index - other.index);
    const told = this.#deleted + this.#changed.length + this.#failures.length;
    return {
      deleted: this.#deleted,
      absent: this.#refs.length - told,
      changed: this.#changed,
      failures: this.#failures,
    };
  }

  #expects({ index }: PendingRow): boolean {
    return this.#refs[index]!.expected !== undefined;
  }

  async #deleteAll(plain: readonly PendingRow[], compared: readonly PendingRow[]): Promise<void> {
    const doomed = [...plain];
    for (let from = 0; from < compared.length; from += COMPARED) {
      doomed.push(...(await this.#compare(compared.slice(from, from + COMPARED))));
    }
    // What refers to each other must go by one statement.
    for (let from = 0; from < doomed.length; from += DELETED) await this.#settle(doomed.slice(from, from + DELETED));
    await this.#retryRefused();
  }

  /** Locks the rows, and gives those that are as they are expected to be. */
  async #compare(rows: readonly PendingRow[]): Promise<PendingRow[]> {
    const { text, params } = lockSql(this.#table, this.#columns, rows, this.#plan.select);
    const { rows: found } = await this.#session.query(text, params);
    const doomed: PendingRow[] = [];
    for (const cells of found) {
      const row = rows[Number(cells.pop()) - 1]!;
      try {
        const record = this.#plan.record(cells);
        const isExpected = record !== undefined && recordDigest(record) === this.#refs[row.index]!.expected;
        if (isExpected) doomed.push(row);
        else this.#changed.push(row.index);
      } catch (error) {
        if (!isP2PError(error)) throw error;
        this.#failures.push(this.#failure(row, error));
      }
      await this.#yielder.yieldIfDue();
    }
    return doomed;
  }

  /** Deletes rows; those that are refused are found by halves. */
  async #settle(rows: readonly PendingRow[]): Promise<void> {
    const stack = [rows];
    for (let part = stack.pop(); part !== undefined; part = stack.pop()) {
      const some = part;
      if (some.length === 0) continue;
      try {
        this.#deleted += await this.#savepoint.attempt(() => this.#delete(some));
      } catch (error) {
        if (error !== KEPT && recordError(error, this.#label) === undefined) throw error;
        if (some.length === 1) {
          const row = some[0]!;
          const refusal = error === KEPT ? this.#kept(row) : this.#refusal(row, error);
          this.#refused.push({ row, error: refusal, mayWait: sqlState(error) === "23503" });
          continue;
        }
        const half = some.length >> 1;
        stack.push(some.slice(half), some.slice(0, half));
      }
    }
  }

  /** @returns how many are gone. */
  async #delete(rows: readonly PendingRow[]): Promise<number> {
    const { text, params } = deleteSql(this.#table, this.#columns, rows);
    const gone = new Set(numbersOf((await this.#session.query(text, params)).rows));
    if (gone.size < rows.length && (this.#table.hasTriggers || this.#table.type === "view")) {
      const left = rows.filter((_, at) => !gone.has(at));
      const present = presentSql(this.#table, this.#columns, left, false);
      const { rows: kept } = await this.#session.query(present.text, present.params);
      if (kept.length > 0) throw KEPT;
    }
    return gone.size;
  }

  /** Tries once more what was refused, as long as that helps: a row may have been referred to by one behind it. */
  async #retryRefused(): Promise<void> {
    for (let before = -1; before < this.#deleted; ) {
      const waiting = this.#refused.filter(({ mayWait }) => mayWait);
      if (waiting.length === 0) return;
      before = this.#deleted;
      this.#refused = this.#refused.filter(({ mayWait }) => !mayWait);
      await this.#settle(waiting.map(({ row }) => row));
    }
  }

  #failure({ index }: PendingRow, error: P2PError): WriteFailure {
    return { index, id: this.#refs[index]!.id, error };
  }

  #kept(row: PendingRow): P2PError {
    return new P2PError(
      "WRITE_FAILED",
      `A trigger or a rule of the table "${this.#table.name}" kept the record ${this.#shown(row)}`,
    );
  }

  #refusal(row: PendingRow, cause: unknown): P2PError {
    const { message, detail } = cause as { readonly message: string; readonly detail?: string };
    const advice = sqlState(cause) === "23503" ? "; delete what refers to it first" : "";
    return new P2PError(
      "WRITE_FAILED",
      `The record ${this.#shown(row)} could not be deleted: ${message}${detail === undefined ? "" : ` (${detail})`}${advice}`,
      { cause },
    );
  }

  #shown({ index }: PendingRow): string {
    return JSON.stringify(String(this.#refs[index]!.id)).slice(0, 80);
  }
}

/** A trigger kept a row. */
const KEPT = Symbol("kept");

/** One row of each key. */
function takeFirsts(repeated: Map<string, PendingRow[]>): PendingRow[] {
  const firsts: PendingRow[] = [];
  for (const [key, rows] of repeated) {
    firsts.push(rows.shift()!);
    if (rows.length === 0) repeated.delete(key);
  }
  return firsts;
}

/** The key of the row that a record with an id would replace; `undefined` where there is none that it could. */
function keyReader(table: Table): (id: P2PId) => Cell[] | undefined {
  if (table.own) {
    const type = ownIdType(table);
    return (id) => [storeId(type, id)];
  }
  const shape = new ForeignShape(table, ["id"], true);
  return (id) => {
    try {
      return shape.encodeKey({ id });
    } catch (error) {
      if (isP2PError(error, "TYPE_MISMATCH") || isP2PError(error, "INVALID_RECORD")) return undefined;
      throw error;
    }
  };
}
