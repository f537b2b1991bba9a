import {
  isP2PError,
  messageOf,
  P2PError,
  type P2PErrorCode,
  type P2PRecord,
  type WriteFailure,
  type WriteMode,
  type WriteResult,
} from "@omni/p2p-core";
import type { Breather } from "./breather.ts";
import { isRowError, sqliteCode } from "./errors.ts";
import { foreignShape } from "./foreign-shape.ts";
import { insertSql, paramsOf, rowsPerStatement } from "./insert.ts";
import { OwnShape } from "./own-shape.ts";
import { addColumnsSql } from "./schema.ts";
import { definedFields, hasFields, type Shape } from "./shape.ts";
import { quote, type SqlValue } from "./sql.ts";
import type { SqliteStore } from "./store.ts";
import type { Table } from "./table.ts";

/** Writes the records of one batch inside a transaction, many to a statement, and keeps account of them. */
export class BatchWriter {
  readonly #store: SqliteStore;
  readonly #mode: WriteMode;
  readonly #shapes = new Map<string, Shape>();
  readonly #failures: WriteFailure[] = [];
  #table: Table;
  #shape: Shape | undefined;
  #rows = 1;
  /** Parameters of records that wait for a full statement, and their indexes. */
  #params: SqlValue[] = [];
  #waiting: number[] = [];
  #skipped = 0;

  constructor(store: SqliteStore, table: Table, mode: WriteMode) {
    this.#store = store;
    this.#table = table;
    this.#mode = mode;
  }

  /** Writes records from an index on until the time is over, and returns the index of the next one. */
  writeSome(records: readonly P2PRecord[], from: number, breather: Breather): number {
    for (let index = from; index < records.length; index++) {
      this.#add(records, index);
      if (this.#waiting.length === 0 && breather.isDue) return index + 1;
    }
    this.#flush(records);
    return records.length;
  }

  result(records: readonly P2PRecord[]): WriteResult {
    const failures = this.#failures.sort((a, b) => a.index - b.index);
    return { written: records.length - this.#skipped - failures.length, skipped: this.#skipped, failures };
  }

  #add(records: readonly P2PRecord[], index: number): void {
    const record = records[index]!;
    if (this.#shape === undefined || !hasFields(record, this.#shape.fields)) this.#changeShape(records, index);
    const start = this.#params.length;
    try {
      this.#shape!.encode(record, this.#params);
    } catch (error) {
      if (!isP2PError(error)) throw error;
      this.#params.length = start;
      this.#failures.push({ index, id: record.id, error });
      return;
    }
    this.#waiting.push(index);
    if (this.#waiting.length >= this.#rows) this.#flush(records);
  }

  /** Makes ready for a record whose fields are others than those of the one before. */
  #changeShape(records: readonly P2PRecord[], index: number): void {
    const fields = definedFields(records[index]!);
    const name = JSON.stringify(fields);
    let shape = this.#shapes.get(name);
    if (shape === undefined) {
      this.#addColumns(records, index, fields);
      shape = this.#makeShape(fields);
      this.#shapes.set(name, shape);
    }
    // Shapes that write the same columns share their statements; only others must not be mixed with what waits.
    if (this.#shape !== undefined && !sameColumns(this.#shape, shape)) this.#flush(records);
    this.#shape = shape;
    this.#rows = rowsPerStatement(this.#table, shape);
  }

  #makeShape(fields: readonly string[]): Shape {
    if (this.#table.own) return new OwnShape(this.#table, fields);
    return foreignShape(this.#table, fields, this.#store.endpoint.options.unknownFields === "ignore");
  }

  /** Adds columns for the fields that have none, of this record and of those that follow it, where that may be. */
  #addColumns(records: readonly P2PRecord[], index: number, fields: readonly string[]): void {
    if (!this.#table.own && this.#store.endpoint.options.unknownFields !== "add") return;
    const known = new Set(this.#table.columns.map(({ field }) => field));
    if (fields.every((field) => field === "id" || known.has(field))) return;
    const sql = addColumnsSql(this.#table, records.slice(index));
    if (sql.length === 0) return;
    this.#flush(records);
    for (const statement of sql) this.#store.db.exec(statement);
    this.#table = this.#store.table(this.#table.name)!;
    this.#shapes.clear();
    this.#shape = undefined;
  }

  /** Writes what waits. */
  #flush(records: readonly P2PRecord[]): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    const params = this.#params;
    this.#waiting = [];
    this.#params = [];
    if (waiting.length === this.#rows && this.#rows > 1) {
      const statement = this.#store.rows(insertSql(this.#table, this.#shape!, this.#mode, this.#rows));
      try {
        const { changes } = statement.run(...params);
        if (this.#mode === "skip") this.#skipped += waiting.length - changes;
        return;
      } catch (error) {
        // The statement took back all of its rows; one by one it shows which was the bad one.
        this.#assertRowError(error);
      }
    }
    const statement = this.#store.rows(insertSql(this.#table, this.#shape!, this.#mode, 1));
    const width = paramsOf(this.#shape!);
    for (const [at, index] of waiting.entries()) {
      const row = params.slice(at * width, (at + 1) * width);
      try {
        const { changes } = statement.run(...row);
        if (changes === 0) this.#nothingWritten(records, index, row);
      } catch (error) {
        this.#assertRowError(error);
        this.#failures.push({ index, id: records[index]!.id, error: this.#rowError(error, records[index]!, row) });
      }
    }
  }

  #nothingWritten(records: readonly P2PRecord[], index: number, row: readonly SqlValue[]): void {
    if (this.#exists(row)) {
      // Left alone: by mode, or because there is nothing but the key to write.
      if (this.#mode === "skip") this.#skipped++;
      return;
    }
    const message = `A trigger of the table "${this.#table.name}" ignored the record`;
    this.#failures.push({ index, id: records[index]!.id, error: new P2PError("WRITE_FAILED", message) });
  }

  /** Lets pass what concerns one record, and throws the rest: a full disk, a transaction that is gone. */
  #assertRowError(error: unknown): void {
    if (!isRowError(error)) throw error;
    if (this.#store.db.inTransaction) return;
    throw new P2PError(
      "WRITE_FAILED",
      `${this.#store.endpoint.label}: a trigger rolled the whole batch back: ${messageOf(error)}`,
      { cause: error },
    );
  }

  #rowError(error: unknown, record: P2PRecord, row: readonly SqlValue[]): P2PError {
    const code = sqliteCode(error);
    const id = JSON.stringify(String(record.id)).slice(0, 80);
    const fail = (known: P2PErrorCode, what: string) => new P2PError(known, what, { cause: error });
    if (code === undefined || code === "SQLITE_TOOBIG") {
      return fail("RECORD_TOO_LARGE", `The record ${id} is larger than SQLite can hold: ${messageOf(error)}`);
    }
    if (code === "SQLITE_MISMATCH" || code === "SQLITE_CONSTRAINT_DATATYPE") {
      return fail("TYPE_MISMATCH", `A value of the record ${id} does not fit its column: ${messageOf(error)}`);
    }
    const unique = /_(PRIMARYKEY|UNIQUE|ROWID)$/.test(code);
    if (unique && this.#mode === "insert" && this.#exists(row)) {
      return fail("DUPLICATE_ID", `The id ${id} is in the table "${this.#table.name}" already`);
    }
    return fail("WRITE_FAILED", `The table "${this.#table.name}" refused the record ${id}: ${messageOf(error)}`);
  }

  /** Whether the row's key is in the table. The key comes first among the parameters, after the rowid if any. */
  #exists(row: readonly SqlValue[]): boolean {
    const { name, key, rowid } = this.#table;
    const columns = key.columns.map(({ column, collation }) => `${quote(column.name)} COLLATE ${quote(collation)}`);
    const sides = columns.length === 0 ? [rowid!] : columns;
    const places = this.#shape!.columns;
    const values = columns.length === 0 ? [row[0]!] : key.columns.map(({ column }) => row[places.indexOf(column)]!);
    const sql = `SELECT 1 FROM main.${quote(name)} WHERE ${sides.map((side) => `${side} = ?`).join(" AND ")}`;
    return this.#store.values(sql).get(...values) !== undefined;
  }
}

function sameColumns(a: Shape, b: Shape): boolean {
  return (
    a.columns === b.columns || (a.columns.length === b.columns.length && a.columns.every((c, i) => c === b.columns[i]))
  );
}
