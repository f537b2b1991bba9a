import {
  isP2PError,
  messageOf,
  P2PError,
  type P2PErrorCode,
  type P2PRecord,
  type WriteFailure,
  type WriteMode,
  type WriteResult,
  type Yielder,
} from "@omni/p2p-core/starter";
import { FOREIGN_KEY_ADVICE, isRowError, sqliteCode } from "../client/errors.ts";
import { addColumnsSql } from "../client/schema.ts";
import { powerOfTwo, quote, type SqlValue } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import type { Table } from "../client/table.ts";
import { definedFields } from "../values/code-generation.ts";
import { foreignShape } from "./foreign-shape.ts";
import { insertSql, paramsOf, rowsPerStatement } from "./insert.ts";
import { OwnShape } from "./own-shape.ts";
import type { Shape } from "./table-shape.ts";

const MAX_SHAPES = 500;
const FEW_SHAPES = 8;

/** The shapes that were found for a table, kept from batch to batch as long as its schema is the same. */
const shapesByTable = new WeakMap<Table, Map<string, Shape>>();
const shapesByTwin = new WeakMap<Table, Map<string, Shape>>();

function shapesOf(table: Table, twin: boolean): Map<string, Shape> {
  const byTable = twin ? shapesByTwin : shapesByTable;
  const shapes = byTable.get(table) ?? new Map<string, Shape>();
  byTable.set(table, shapes);
  return shapes;
}

/** Writes the records of one batch inside a transaction, many to a statement, and keeps account of them. */
export class BatchWriter {
  readonly #store: SqliteStore;
  readonly #mode: WriteMode;
  readonly #twin: boolean;
  readonly #failures: WriteFailure[] = [];
  #table: Table;
  #shapes: Map<string, Shape>;
  #shape: Shape | undefined;
  #rows = 1;
  #width = 0;
  /** Parameters of records that wait for a full statement, and the records' indexes. */
  #params: SqlValue[] = [];
  readonly #waiting: number[] = [];
  #skipped = 0;

  /** @param twin whether the records come from a table with the same columns. */
  constructor(store: SqliteStore, table: Table, mode: WriteMode, twin: boolean) {
    this.#store = store;
    this.#table = table;
    this.#twin = twin;
    this.#shapes = shapesOf(table, twin);
    this.#mode = mode;
  }

  /** Writes records from an index on until the time is over, and returns the index of the next one. */
  writeSome(records: readonly P2PRecord[], from: number, yielder: Yielder): number {
    for (let index = from; index < records.length; index++) {
      this.#add(records, index);
      if (this.#waiting.length === 0 && yielder.isDue) return index + 1;
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
    if (this.#shape === undefined || !this.#shape.fits(record)) this.#changeShape(records, index);
    try {
      this.#shape!.encode(record, this.#params, this.#waiting.length * this.#width);
    } catch (error) {
      if (!isP2PError(error)) throw error;
      this.#failures.push({ index, id: record.id, error });
      return;
    }
    this.#waiting.push(index);
    if (this.#waiting.length >= this.#rows) this.#flush(records);
  }

  /** Makes ready for a record whose fields are others than those of the one before. */
  #changeShape(records: readonly P2PRecord[], index: number): void {
    const shape = this.#knownShape(records[index]!) ?? this.#newShape(records, index);
    // Shapes that write the same columns share their statements; only others must not be mixed with what waits.
    if (this.#shape !== undefined && !sameColumns(this.#shape, shape)) this.#flush(records);
    if (this.#waiting.length === 0) this.#params = [];
    this.#shape = shape;
    this.#rows = rowsPerStatement(this.#table, shape);
    this.#width = paramsOf(shape);
  }

  /** One of the shapes that came last; trying many takes longer than naming the fields. */
  #knownShape(record: P2PRecord): Shape | undefined {
    let tried = 0;
    for (const shape of this.#shapes.values()) {
      if (shape.fits(record)) return shape;
      if (++tried === FEW_SHAPES) return undefined;
    }
    return undefined;
  }

  #newShape(records: readonly P2PRecord[], index: number): Shape {
    const fields = definedFields(records[index]!);
    const name = JSON.stringify(fields);
    const known = this.#shapes.get(name);
    if (known !== undefined) return known;
    this.#addColumns(records, index, fields);
    const shape = this.#makeShape(fields);
    if (this.#shapes.size >= MAX_SHAPES) this.#shapes.clear();
    this.#shapes.set(name, shape);
    return shape;
  }

  #makeShape(fields: readonly string[]): Shape {
    if (this.#table.own) return new OwnShape(this.#table, fields);
    const ignoreUnknown = this.#store.endpoint.options.unknownFields === "ignore";
    return foreignShape(this.#table, fields, { ignoreUnknown, twin: this.#twin });
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
    this.#shapes = shapesOf(this.#table, this.#twin);
    this.#shape = undefined;
  }

  /** Writes what waits. */
  #flush(records: readonly P2PRecord[]): void {
    const waiting = this.#waiting;
    const width = this.#width;
    for (let at = 0; at < waiting.length; ) {
      const rows = powerOfTwo(waiting.length - at);
      const isAll = rows === this.#rows;
      const params = isAll ? this.#params : this.#params.slice(at * width, (at + rows) * width);
      const indexes = isAll ? waiting : waiting.slice(at, at + rows);
      if (rows === 1 || !this.#writeTogether(params, rows)) this.#writeSingly(records, params, indexes);
      at += rows;
    }
    waiting.length = 0;
  }

  /** @returns whether it went well; a statement that fails takes back all of its rows. */
  #writeTogether(params: readonly SqlValue[], rows: number): boolean {
    const statement = this.#store.rows(insertSql(this.#table, this.#shape!, this.#mode, rows));
    try {
      const { changes } = statement.run(...params);
      if (this.#mode === "skip") this.#skipped += rows - changes;
      return true;
    } catch (error) {
      this.#assertRowError(error);
      return false;
    }
  }

  /** One by one, so that it shows which is a bad one. */
  #writeSingly(records: readonly P2PRecord[], params: readonly SqlValue[], indexes: readonly number[]): void {
    const statement = this.#store.rows(insertSql(this.#table, this.#shape!, this.#mode, 1));
    const width = this.#width;
    for (const [at, index] of indexes.entries()) {
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
    if (code === "SQLITE_CONSTRAINT_FOREIGNKEY") {
      const message = `The table "${this.#table.name}" refused the record ${id}: ${messageOf(error)}; ${FOREIGN_KEY_ADVICE}`;
      return fail("WRITE_FAILED", message);
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
