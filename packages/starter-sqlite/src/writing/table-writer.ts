import {
  getField,
  messageOf,
  P2PError,
  type P2PRecord,
  type ValueType,
  valueType,
  type WriteFailure,
  type WriteOptions,
  type WriteResult,
  Yielder,
} from "@omni/p2p-core/starter";
import { isTwin, newTableSql, type Twin, twinOf } from "../client/declared-table.ts";
import { FOREIGN_KEY_ADVICE, isDeferredConstraint } from "../client/errors.ts";
import { assertWritable, declaredType, sidecarIndexSql } from "../client/schema.ts";
import { quote } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import type { Column, Table } from "../client/table.ts";
import { mayNotBeMade, requireTable } from "../query/relation.ts";
import { BatchWriter } from "./batch-writer.ts";
import { declareTypes } from "./column-types.ts";
import type { TransactionQueue } from "./transaction-queue.ts";

/** Writes batches to one table, one after the other, each in a transaction of its own. */
export class TableWriter {
  readonly #store: SqliteStore;
  readonly #tableName: string;
  readonly #transactions: TransactionQueue;
  /** Columns without a type of the table that was made here, in which there is nothing but NULL. */
  readonly #blank = new Set<string>();
  /** Columns without a type that hold values of several kinds. */
  readonly #mixed = new Set<string>();

  constructor(store: SqliteStore, tableName: string, transactions: TransactionQueue) {
    this.#store = store;
    this.#tableName = tableName;
    this.#transactions = transactions;
  }

  /** Writes a batch when those before it are done. */
  write(records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult> {
    return this.#transactions.enqueue(() => this.#writeBatch(records, options));
  }

  async #writeBatch(records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult> {
    options.signal.throwIfAborted();
    this.#transactions.assertWritable();
    try {
      return await this.#writeTogether(records, options);
    } catch (error) {
      if (!isDeferredConstraint(error)) throw error;
      // A constraint that is checked at the end does not say which record broke it, so each is tried alone.
      return await this.#oneByOne(records, options);
    }
  }

  #writeTogether(records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult> {
    const { signal } = options;
    return this.#transactions.transaction(signal, async () => {
      const twin = twinOf(options.schema);
      const table = await this.#transactions.work(signal, () => this.#table(records, twin));
      const batch = new BatchWriter(this.#store, table, options.mode, twin !== undefined && isTwin(table, twin));
      const yielder = new Yielder();
      for (let next = 0; next < records.length; ) {
        next = await this.#transactions.work(signal, () => batch.writeSome(records, next, yielder));
        await yielder.yieldIfDue();
        signal.throwIfAborted();
      }
      return batch.result(records);
    });
  }

  /** The table, created when there is none. */
  #table(records: readonly P2PRecord[], twin: Twin | undefined): Table {
    const store = this.#store;
    const { label, options } = store.endpoint;
    if (store.table(this.#tableName) === undefined) {
      if (options.create === "never") throw mayNotBeMade(store, this.#tableName);
      this.#create(records, twin);
    }
    const table = requireTable(store, this.#tableName);
    assertWritable(table, label);
    return table.own ? this.#withTypes(table, records) : table;
  }

  #create(records: readonly P2PRecord[], twin: Twin | undefined): void {
    const store = this.#store;
    store.db.exec(newTableSql(this.#tableName, records, twin));
    if (twin === undefined || twin.own) store.db.exec(sidecarIndexSql(this.#tableName));
    store.forgetTable();
    this.#blank.clear();
    for (const { name } of untyped(store.table(this.#tableName)!)) this.#blank.add(name);
  }

  /**
   * Gives columns that were made without a type, since there was nothing but null for them, the type of their first
   * values.
   */
  #withTypes(table: Table, records: readonly P2PRecord[]): Table {
    const open = untyped(table).filter(({ name }) => !this.#mixed.has(name));
    if (open.length === 0) return table;
    const types = new Map<string, string>();
    for (const { name, field } of open) {
      const kinds = kindsOf(records, field);
      if (kinds.size === 0) continue;
      const declared = declaredType(kinds);
      if (declared !== "" && this.#isBlank(table, name)) types.set(name, declared);
      else this.#mixed.add(name);
      this.#blank.delete(name);
    }
    if (types.size === 0 || !declareTypes(this.#store, table.name, types)) return table;
    return requireTable(this.#store, table.name);
  }

  #isBlank(table: Table, column: string): boolean {
    if (this.#blank.has(column)) return true;
    const sql = `SELECT 1 FROM main.${quote(table.name)} WHERE ${quote(column)} IS NOT NULL LIMIT 1`;
    return this.#store.values(sql).get() === undefined;
  }

  /** Tries each record alone, and those that were refused again, as long as others have been written meanwhile. */
  async #oneByOne(records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult> {
    let written = 0;
    let skipped = 0;
    const failures: WriteFailure[] = [];
    let left = [...records.keys()];
    // Of its own: each transaction by itself is over before a turn is due.
    const yielder = new Yielder();
    for (;;) {
      const refused: WriteFailure[] = [];
      for (const index of left) {
        await yielder.yieldIfDue();
        const record = records[index]!;
        try {
          const result = await this.#writeTogether([record], options);
          written += result.written;
          skipped += result.skipped;
          failures.push(...result.failures.map((failure) => ({ ...failure, index })));
        } catch (error) {
          if (!isDeferredConstraint(error)) throw error;
          refused.push({ index, id: record.id, error: deferredError(error) });
        }
      }
      // A record may have waited for one behind it.
      if (refused.length === 0 || refused.length === left.length) {
        const all = [...failures, ...refused].sort((one, other) => one.index - other.index);
        return { written, skipped, failures: all };
      }
      left = refused.map(({ index }) => index);
    }
  }
}

function deferredError(error: P2PError): P2PError {
  const what = `The record was refused at the end of its transaction: ${messageOf(error.cause)}; ${FOREIGN_KEY_ADVICE}`;
  return new P2PError("WRITE_FAILED", what, { cause: error.cause });
}

function untyped(table: Table): readonly Column[] {
  return table.own ? table.columns.filter(({ kind, declared }) => kind === "any" && declared === "") : [];
}

/** The kinds of value that a field has in some records, but for null. */
function kindsOf(records: readonly P2PRecord[], field: string): Set<ValueType> {
  const kinds = new Set<ValueType>();
  for (const record of records) {
    const value = getField(record, field);
    if (value !== undefined && value !== null) kinds.add(valueType(value));
  }
  return kinds;
}
