/** Writing batches to one table, each in a transaction of its own; the table, and columns for new fields, are made before. */
import { createHash } from "node:crypto";
import {
  isP2PError,
  P2PError,
  type P2PRecord,
  type WriteFailure,
  type WriteMode,
  type WriteOptions,
  type WriteResult,
  Yielder,
} from "@omni/p2p-core/starter";
import { declaredOf } from "../client/declared-table.ts";
import { isServerError, recordError, sqlState } from "../client/errors.ts";
import type { Session } from "../client/session.ts";
import { qualified, quote } from "../client/sql.ts";
import type { PostgresqlStore } from "../client/store.ts";
import type { Table } from "../client/table.ts";
import { storeId } from "../values/own-ids.ts";
import { ownIdType } from "../values/row-plan.ts";
import { BatchWriter, FEWEST_TO_COPY, mayCopy, type RowGroup } from "./batch-writer.ts";
import { BinaryRows } from "./copy-binary.ts";
import { createDeclaredSql } from "./declared-table.ts";
import { ForeignShape } from "./foreign-shape.ts";
import { compareKeys } from "./key-order.ts";
import { addColumnsSql, createTableSql } from "./new-table.ts";
import { OwnShape } from "./own-shape.ts";
import { keyText, type PendingRow, type RowShape } from "./row-shape.ts";
import { Sequences } from "./sequences.ts";
import { isStale, MOST_ROUNDS } from "./stale.ts";
import { type CopyStatements, copyStatementsOf, lockSchemaSql } from "./statements.ts";

/** Batches that go by without a trial of COPY at most, after it has met records that were there. */
const LONGEST_PAUSE = 16;
/** Shapes of records that are kept for a table. */
const MOST_SHAPES = 500;

/** Rows in the binary format, for a table of ours. */
interface CopiedRows {
  readonly table: Table;
  readonly statements: CopyStatements;
  readonly chunks: readonly Buffer[];
  readonly count: number;
}

/** Writes batches to one table; several at a time. */
export class TableWriter {
  readonly #store: PostgresqlStore;
  /** Shapes that were found for a table as it was described. */
  readonly #shapes = new WeakMap<Table, Map<string, RowShape>>();
  readonly #sequences = new WeakMap<Table, Sequences>();
  /** Fields that get no column in a table of ours. */
  #homeless = new Set<string>();
  /** The changes of the table that are under way. */
  #changing: Promise<unknown> = Promise.resolve();
  /** Batches to come for which COPY is not tried, and how many they were the last time. */
  #pause = 0;
  #lastPause = 0;
  #checksDeferred = false;
  /** Whether temporary tables can be had. */
  #mayCopyAside = true;

  constructor(store: PostgresqlStore) {
    this.#store = store;
  }

  async write(records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult> {
    const { signal } = options;
    for (let round = 1; ; round++) {
      signal.throwIfAborted();
      try {
        return await this.#writeOnce(records, options);
      } catch (error) {
        signal.throwIfAborted();
        if (round === MOST_ROUNDS || !isStale(error)) throw error;
        this.#store.forgetTable();
      }
    }
  }

  async #writeOnce(records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult> {
    const table = await this.#table(records, options);
    if (await this.#copyWhole(table, records, options)) return { written: records.length, skipped: 0, failures: [] };
    const failures: WriteFailure[] = [];
    const { groups, described } = await this.#encode(table, records, failures, options.signal);
    if (groups.length === 0) return { written: 0, skipped: 0, failures };
    let isOver = false;
    try {
      const writer = await this.#store.transaction("write", options.signal, async (session) => {
        isOver = false;
        const batch = await this.#writeGroups(session, described, records, groups, options);
        isOver = true;
        return batch;
      });
      failures.push(...writer.failures);
      failures.sort((one, other) => one.index - other.index);
      return {
        written: records.length - writer.skipped - failures.length,
        skipped: writer.skipped,
        failures,
      };
    } catch (error) {
      // The end of the transaction does not say which record broke a constraint that is checked there.
      if (!isOver || this.#checksDeferred || !isRefusedAtEnd(error, this.#store.label)) throw error;
      this.#checksDeferred = true;
      return this.#writeOnce(records, options);
    }
  }

  /**
   * Copies a batch into a table of ours in the binary format, which is all or nothing.
   *
   * @returns whether it went well; if not, nothing is written, and who knows better must look at each record.
   */
  async #copyWhole(given: Table, records: readonly P2PRecord[], { mode, signal }: WriteOptions): Promise<boolean> {
    if (!given.own || records.length < FEWEST_TO_COPY || !mayCopy(given)) return false;
    // Where many are known they are copied aside first, to replace those that are there.
    const aside = this.#pause > 0;
    if (aside && (mode !== "upsert" || !this.#mayCopyAside)) return false;
    let table = given;
    let made = await this.#binaryRows(table, records, mode, signal);
    if (made !== undefined && this.#hasNew(made.rows.unhoused)) {
      const changed = await this.#withColumns(table, records, signal);
      if (changed !== table) made = await this.#binaryRows(changed, records, mode, signal);
      table = changed;
    }
    if (made === undefined) return false;
    const { rows, count } = made;
    const statements = copyStatementsOf(table, rows.columns);
    const copied = { table, statements, chunks: rows.finish(), count };
    let outcome = await this.#copyBinary(copied, aside, signal);
    if (outcome === "known" && !aside && mode === "upsert" && this.#mayCopyAside) {
      // The chunks may still be on their way to the server, which passes over them: they are nobody else's.
      outcome = await this.#copyBinary(copied, true, signal);
    } else if (outcome === "written") rows.release();
    return outcome === "written";
  }

  /** @returns what came of it: `known` where keys were there, `unfit` where it is to be done otherwise. */
  async #copyBinary(
    { table, statements, chunks, count }: CopiedRows,
    aside: boolean,
    signal: AbortSignal,
  ): Promise<"written" | "known" | "unfit"> {
    const { assertUnaltered, upsert } = statements;
    const sql = aside ? statements.aside : statements.direct;
    try {
      if (assertUnaltered !== undefined) {
        await this.#store.copyIn(signal, sql, chunks, aside ? [upsert, assertUnaltered] : [assertUnaltered]);
      } else {
        await this.#store.transaction("write", signal, async (session) => {
          let written = await session.copyIn(`${lockSchemaSql(table)}; ${sql}`, chunks);
          if (aside) written = (await session.query(upsert)).rowCount;
          if (written < count) throw IGNORED;
        });
      }
      if (aside) this.#pause = Math.max(0, this.#pause - 1);
      else this.#lastPause = 0;
      return "written";
    } catch (error) {
      const cause = isP2PError(error) ? error.cause : undefined;
      if (error === IGNORED) return "unfit";
      if (!isServerError(cause) || isStale(error)) throw error;
      if (aside && MAY_MAKE_NO_TABLE.has(cause.code)) {
        this.#mayCopyAside = false;
        return "unfit";
      }
      if (cause.code === "23505") {
        this.#pauseCopying();
        return "known";
      }
      if (recordError(cause, this.#store.label) === undefined) throw error;
      return "unfit";
    }
  }

  /** The rows in the order of their keys; `undefined` where they must be written otherwise. */
  async #binaryRows(table: Table, records: readonly P2PRecord[], mode: WriteMode, signal: AbortSignal) {
    const rows = BinaryRows.for(table);
    if (rows === undefined) return undefined;
    const type = ownIdType(table);
    const keys = records.map(({ id }) => storeId(type, id));
    const yielder = new Yielder();
    let count = 0;
    const order = orderOf(keys, compareKeys(table));
    for (let at = 0; at < order.length; at++) {
      const index = order[at]!;
      if (at + 1 < order.length && keys[order[at + 1]!] === keys[index]) {
        // The last one of a key stays.
        if (mode !== "upsert") return undefined;
        continue;
      }
      if (!rows.add(records[index]!, keys[index]!)) return undefined;
      count++;
      if (yielder.isDue) {
        await yielder.yieldIfDue();
        signal.throwIfAborted();
      }
    }
    return { rows, count };
  }

  #sequencesOf(table: Table): Sequences | undefined {
    if (!Sequences.mayHave(table)) return undefined;
    const known = this.#sequences.get(table) ?? new Sequences(table);
    this.#sequences.set(table, known);
    return known;
  }

  #hasNew(unhoused: ReadonlySet<string>): boolean {
    return [...unhoused].some((field) => !this.#homeless.has(field));
  }

  /** COPY met records that were there: those that come next may be known too. */
  #pauseCopying(): void {
    this.#lastPause = Math.min(2 * this.#lastPause + 1, LONGEST_PAUSE);
    this.#pause = this.#lastPause;
  }

  async #writeGroups(
    session: Session,
    table: Table,
    records: readonly P2PRecord[],
    groups: readonly RowGroup[],
    { mode }: WriteOptions,
  ): Promise<BatchWriter> {
    if (table.own) await session.script(lockSchemaSql(table));
    const copies = this.#pause === 0;
    if (!copies) this.#pause--;
    const writer = new BatchWriter(session, table, records, {
      mode,
      label: this.#store.label,
      copies,
      checksDeferred: this.#checksDeferred,
    });
    for (const group of groups) await writer.write({ shape: group.shape, rows: [...group.rows] });
    const sequences = this.#sequencesOf(table);
    if (sequences !== undefined) {
      const failed = new Set(writer.failures.map(({ index }) => index));
      await sequences.follow(session, groups, (index) => !failed.has(index));
    }
    if (writer.metKnown) {
      this.#pauseCopying();
    } else if (copies) {
      this.#lastPause = 0;
    }
    return writer;
  }

  /** The rows of the records by their columns, and the table that they are for: it may have got columns on the way. */
  async #encode(
    table: Table,
    records: readonly P2PRecord[],
    failures: WriteFailure[],
    signal: AbortSignal,
  ): Promise<{ readonly groups: readonly RowGroup[]; readonly described: Table }> {
    const runs: RowGroup[] = [];
    const yielder = new Yielder();
    let shape: RowShape | undefined;
    for (let index = 0; index < records.length; index++) {
      const record = records[index]!;
      if (shape === undefined || !shape.fits(record)) {
        shape = this.#shapeFor(table, record);
        if (shape instanceof ForeignShape && shape.lacksColumns && this.#store.endpoint.unknownFields === "add") {
          const changed = await this.#withColumns(table, records, signal);
          if (changed !== table) return this.#again(changed, records, failures, signal);
        }
        if (runs.at(-1)?.shape.signature !== shape.signature) runs.push({ shape, rows: [] });
      }
      try {
        const cells = shape.encode(record);
        assertFits(cells);
        runs.at(-1)!.rows.push({ index, cells, key: keyText(cells, shape.keyWidth) });
      } catch (error) {
        const failure = encodingError(error);
        if (failure === undefined) throw error;
        failures.push({ index, id: record.id, error: failure });
      }
      if (yielder.isDue) {
        await yielder.yieldIfDue();
        signal.throwIfAborted();
      }
    }
    if (shape instanceof OwnShape && this.#hasNew(shape.unhoused)) {
      const changed = await this.#withColumns(table, records, signal);
      if (changed !== table) return this.#again(changed, records, failures, signal);
    }
    return { groups: together(runs), described: table };
  }

  #again(table: Table, records: readonly P2PRecord[], failures: WriteFailure[], signal: AbortSignal) {
    failures.length = 0;
    return this.#encode(table, records, failures, signal);
  }

  #shapeFor(table: Table, record: P2PRecord): RowShape {
    const shapes = this.#shapes.get(table) ?? new Map<string, RowShape>();
    this.#shapes.set(table, shapes);
    const fields = table.own ? [] : Object.keys(record).filter((field) => record[field] !== undefined);
    const name = JSON.stringify(fields);
    const known = shapes.get(name);
    if (known !== undefined) return known;
    const { unknownFields } = this.#store.endpoint;
    const shape = table.own ? new OwnShape(table) : new ForeignShape(table, fields, unknownFields === "ignore");
    if (shapes.size >= MOST_SHAPES) shapes.clear();
    shapes.set(name, shape);
    return shape;
  }

  /** The table, made when there is none. */
  async #table(records: readonly P2PRecord[], { signal, schema }: WriteOptions): Promise<Table> {
    const store = this.#store;
    let table = await store.table(signal);
    if (table === undefined) {
      if (store.endpoint.create === "never") throw notMade(store);
      await this.#change(signal, async (session) => {
        const name = store.tableName!;
        if ((await store.find(name, signal, session)) !== undefined) return;
        const sqlName =
          name.schema === undefined ? quote(name.name) : qualified({ schema: name.schema, name: name.name });
        const declared = declaredOf(schema);
        const sql =
          declared === undefined
            ? createTableSql(sqlName, records)
            : await createDeclaredSql(sqlName, declared, session);
        await session.script(sql);
      });
      this.#homeless = new Set();
      table = await store.table(signal);
    }
    if (table === undefined) {
      throw new P2PError(
        "WRITE_FAILED",
        `${store.label}: the table was made, and is not to be seen; check the search_path`,
      );
    }
    if (table.key.columns.length === 0) {
      throw new P2PError(
        "INVALID_ENDPOINT",
        `${store.label}: the table "${table.name}" has no key that names its rows; give it a PRIMARY KEY, or name unique columns by the option key`,
      );
    }
    return table;
  }

  /** The table with columns for the fields that have none, as far as they can have one. */
  async #withColumns(table: Table, records: readonly P2PRecord[], signal: AbortSignal): Promise<Table> {
    const store = this.#store;
    let changed = table;
    if (addColumnsSql(table, records) !== undefined) {
      await this.#change(signal, async (session) => {
        const now = await store.describe(store.tableName!, signal, session);
        const sql = now && addColumnsSql(now, records);
        if (sql !== undefined) await session.script(sql);
      });
      changed = (await store.table(signal)) ?? table;
    }
    // What has a value now and still no column will not get one later.
    const housed = new Set(changed.columns.map(({ field }) => field));
    for (const record of records) {
      for (const field of Object.keys(record)) {
        if (!housed.has(field) && record[field] !== null) this.#homeless.add(field);
      }
    }
    return changed;
  }

  /** Changes the schema, one at a time: here by a queue, among processes by a lock of the server. */
  #change(signal: AbortSignal, work: (session: Session) => Promise<void>): Promise<void> {
    const store = this.#store;
    const changing = this.#changing.then(async () => {
      try {
        await store.transaction("write", signal, async (session) => {
          await session.query("SELECT pg_catalog.pg_advisory_xact_lock($1::pg_catalog.int8)", [
            lockNumber(store.tableName!.name),
          ]);
          await work(session);
        });
      } catch (error) {
        throw changeError(error, store);
      } finally {
        store.forgetTable();
      }
    });
    this.#changing = changing.catch(() => {});
    return changing;
  }
}

/** Rights to make temporary tables are lacking, or to make any in the middle of what goes on. */
const MAY_MAKE_NO_TABLE: ReadonlySet<string> = new Set(["42501", "0A000", "25006"]);

/** Something at the server took no notice of some rows. */
const IGNORED = new P2PError("WRITE_FAILED", "Fewer rows were written than were copied");

/** The places of the keys in the order of the keys; those of one key stay in the order in which they came. */
function orderOf(keys: readonly string[], compare: (one: string, other: string) => number): readonly number[] {
  const order = [...keys.keys()];
  for (let at = 1; at < keys.length; at++) {
    if (compare(keys[at - 1]!, keys[at]!) > 0) return order.sort((one, other) => compare(keys[one]!, keys[other]!));
  }
  return order;
}

/**
 * Groups runs of rows by their columns, so that few statements write them. Where a key comes in two groups the order of the
 * records decides, and the runs stay as they are.
 */
function together(runs: readonly RowGroup[]): readonly RowGroup[] {
  const filled = runs.filter(({ rows }) => rows.length > 0);
  if (filled.length < 2) return filled;
  const groups = new Map<string, RowGroup>();
  const owners = new Map<string, string>();
  for (const { shape, rows } of filled) {
    const { signature } = shape;
    const group = groups.get(signature) ?? { shape, rows: [] };
    groups.set(signature, group);
    for (const row of rows) {
      const owner = owners.get(row.key);
      if (owner !== undefined && owner !== signature) return filled;
      owners.set(row.key, signature);
      group.rows.push(row);
    }
  }
  return [...groups.values()];
}

/** What one row may have, in bytes: the server takes a message, and a value, of 1 GB. */
const MOST_BYTES = 1024 * 1024 * 1024 - 1024 * 1024;
/** Characters that cannot be so many bytes. */
const SURELY_FITS = MOST_BYTES / 6;

function assertFits(cells: PendingRow["cells"]): void {
  let characters = 0;
  for (const cell of cells) if (cell !== null) characters += cell.length;
  if (characters <= SURELY_FITS) return;
  let bytes = 0;
  for (const cell of cells) if (cell !== null) bytes += Buffer.byteLength(cell);
  if (bytes > MOST_BYTES) throw tooLarge(`${bytes} bytes`);
}

function tooLarge(how: string): P2PError {
  return new P2PError(
    "RECORD_TOO_LARGE",
    `The record takes ${how} as a row, and PostgreSQL takes 1 GB at most; split it or leave large fields out`,
  );
}

/** Why a record has no form as a row; `undefined` where the fault is not its own. */
function encodingError(error: unknown): P2PError | undefined {
  if (isP2PError(error)) return error;
  // A text that would be longer than JavaScript can have.
  const isTooLong =
    error instanceof RangeError || (error as { readonly code?: unknown }).code === "ERR_STRING_TOO_LONG";
  return isTooLong ? tooLarge("more than 512 million characters") : undefined;
}

/** Whether the server refused rows when the transaction was to end. */
function isRefusedAtEnd(error: unknown, label: string): boolean {
  return isP2PError(error) && recordError(error.cause, label) !== undefined;
}

function notMade({ label, tableName }: PostgresqlStore): P2PError {
  return new P2PError(
    "TARGET_NOT_WRITABLE",
    `${label} has no table "${tableName!.name}". The option create is "never", so it is not made`,
  );
}

function changeError(error: unknown, { label, tableName }: PostgresqlStore): unknown {
  const cause = isP2PError(error) ? error.cause : undefined;
  if (sqlState(cause) !== "3F000") return error;
  const { schema } = tableName!;
  const what = schema === undefined ? "the search_path names no schema" : `there is no schema ${quote(schema)}`;
  const advice = schema === undefined ? "name one by the option schema" : `create it: CREATE SCHEMA ${quote(schema)}`;
  return new P2PError("TARGET_NOT_WRITABLE", `${label}: the table cannot be made: ${what}; ${advice}`, { cause });
}

/** A number that stands for a table among those of all who make tables or columns for it. */
function lockNumber(table: string): string {
  return createHash("sha256").update(`omni-p2p table ${table}`).digest().readBigInt64BE().toString();
}
