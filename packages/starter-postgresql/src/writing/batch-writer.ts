/** Writing the rows of one batch inside a transaction: COPY while they are new, statements that look for conflicts else. */
import { isP2PError, P2PError, type P2PRecord, type WriteFailure, type WriteMode } from "@omni/p2p-core/starter";
import { recordError, sqlState } from "../client/errors.ts";
import type { Session } from "../client/session.ts";
import type { Table } from "../client/table.ts";
import { copyChunks } from "./copy-text.ts";
import { compareKeys } from "./key-order.ts";
import type { PendingRow, RowShape } from "./row-shape.ts";
import { Savepoint } from "./savepoint.ts";
import { copySql, insertNewSql, insertSql, numbersOf, presentSql, updateSql, upsertSql } from "./statements.ts";

/** Fewer rows are inserted as soon as they are copied. */
export const FEWEST_TO_COPY = 32;
/** Characters of the cells of one statement, roughly. */
const STATEMENT_CHARACTERS = 8 * 1024 * 1024;
/** Rows that are copied together at least, where one in many is refused. */
const LEAST_COPIED = 16;

/** Rows of one shape. */
export interface RowGroup {
  readonly shape: RowShape;
  readonly rows: PendingRow[];
}

interface Refused {
  readonly row: PendingRow;
  readonly error: P2PError;
  /** Whether it may go well when others are written. */
  readonly mayWait: boolean;
}

/** What a statement left unwritten: the key is there, or something at the server took no notice of the row. */
interface Outcome {
  readonly present: readonly PendingRow[];
}

const ALL_WRITTEN: Outcome = { present: [] };

/** A statement wrote fewer rows than it was given, so that they must be looked at one by one. */
const SOME_IGNORED = Symbol("some ignored");
/** A statement cannot take these rows together. */
const NOT_TOGETHER = Symbol("not together");

/** Writes rows and keeps account of them. */
export class BatchWriter {
  /** Whether COPY met keys that were there. */
  metKnown = false;
  skipped = 0;
  readonly failures: WriteFailure[] = [];
  readonly #session: Session;
  readonly #table: Table;
  readonly #mode: WriteMode;
  readonly #label: string;
  readonly #savepoint: Savepoint;
  readonly #records: readonly P2PRecord[];
  #copies: boolean;
  #refused: Refused[] = [];
  #written = 0;

  constructor(
    session: Session,
    table: Table,
    records: readonly P2PRecord[],
    options: {
      readonly mode: WriteMode;
      readonly label: string;
      /** Whether COPY is to be tried. */
      readonly copies: boolean;
      /** Whether constraints that are checked at the end of the transaction must be checked by each statement. */
      readonly checksDeferred: boolean;
    },
  ) {
    this.#session = session;
    this.#table = table;
    this.#records = records;
    this.#mode = options.mode;
    this.#label = options.label;
    this.#copies = options.copies && mayCopy(table);
    this.#savepoint = new Savepoint(session, options.checksDeferred);
  }

  /** Writes rows of one shape. Those that share a key must stand in the order in which they came. */
  async write({ shape, rows }: RowGroup): Promise<void> {
    sortByKey(rows, this.#table);
    const repeated = hasRepeated(rows);
    // Of records in tables of ours nothing is left when they are replaced.
    const replaced = repeated && this.#table.own && this.#mode === "upsert" ? takeReplaced(rows) : undefined;
    const left =
      this.#copies && rows.length >= FEWEST_TO_COPY && (!repeated || replaced !== undefined)
        ? await this.#copy(shape, rows)
        : rows;
    for (const part of parts(left)) await this.#settle(shape, part);
    await this.#retryRefused(shape);
    if (replaced !== undefined) await this.#writeReplaced(shape, replaced);
    this.#tellRefused();
  }

  /**
   * Copies rows, without those that the server refuses.
   *
   * @returns those that must be written by statements: where some of them are there already, and where it does not say which is refused.
   */
  async #copy(shape: RowShape, given: readonly PendingRow[]): Promise<readonly PendingRow[]> {
    const rows = [...given];
    const sql = copySql(this.#table, shape.columns);
    let size = rows.length;
    for (let from = 0; from < rows.length; ) {
      const to = Math.min(from + size, rows.length);
      try {
        await this.#savepoint.attempt(async () => {
          const count = await this.#session.copyIn(sql, copyChunks(rows, from, to));
          if (count < to - from) throw SOME_IGNORED;
        });
        this.#written += to - from;
        from = to;
        size *= 2;
      } catch (error) {
        if (error === SOME_IGNORED) return rows.slice(from);
        const code = sqlState(error);
        if (code === "23505") {
          this.metKnown = true;
          return rows.slice(from);
        }
        // It is not to be had here: for row-level security, for instance.
        if (code === "0A000") {
          this.#copies = false;
          return rows.slice(from);
        }
        const refusal = this.#refusal(error);
        const line = lineOf(error, this.#table.name);
        if (line === undefined || from + line > to) return rows.slice(from);
        const at = from + line - 1;
        this.#refused.push({ row: rows[at]!, error: refusal, mayWait: false });
        rows.splice(at, 1);
        // Those before it are good as far as the server has seen.
        size = at > from ? at - from : Math.max(LEAST_COPIED, size >> 1);
      }
    }
    return [];
  }

  /** Writes rows by statements; those that are refused are found by halves. */
  async #settle(shape: RowShape, rows: readonly PendingRow[]): Promise<void> {
    const stack = [rows];
    for (let part = stack.pop(); part !== undefined; part = stack.pop()) {
      const some = part;
      try {
        const { present } = await this.#savepoint.attempt(() => this.#statement(shape, some));
        this.#written += some.length - present.length;
        for (const row of present) this.#tellPresent(row);
      } catch (error) {
        if (some.length === 1) {
          this.#refuse(shape, some[0]!, error);
          continue;
        }
        const splits = error === SOME_IGNORED || error === NOT_TOGETHER || sqlState(error) === "21000";
        if (!splits) this.#refusal(error);
        const half = some.length >> 1;
        stack.push(some.slice(half), some.slice(0, half));
      }
    }
  }

  #refuse(shape: RowShape, row: PendingRow, error: unknown): void {
    const refusal = error === SOME_IGNORED ? this.#ignored(shape) : this.#refusal(error);
    this.#refused.push({ row, error: refusal, mayWait: sqlState(error) === "23503" });
  }

  /** @throws the error where no record is at fault. */
  #refusal(error: unknown): P2PError {
    const refusal = rowError(error, this.#label);
    if (refusal === undefined) throw error;
    return refusal;
  }

  async #statement(shape: RowShape, rows: readonly PendingRow[]): Promise<Outcome> {
    if (!byConflict(this.#table)) return this.#merge(shape, rows);
    if (this.#mode === "upsert") {
      const { text, params } = upsertSql(this.#table, shape.columns, rows);
      const { rowCount } = await this.#session.query(text, params);
      if (rowCount === rows.length || shape.columns.length === shape.keyWidth) return ALL_WRITTEN;
      if (fixedColumn(shape) !== undefined) throw SOME_IGNORED;
      return this.#lookFor(shape, rows);
    }
    return this.#insertNew(shape, rows);
  }

  async #insertNew(shape: RowShape, rows: readonly PendingRow[]): Promise<Outcome> {
    const before = this.#table.hasTriggers ? await this.#present(shape, rows, false) : undefined;
    const { text, params } = insertNewSql(this.#table, shape.columns, rows);
    const unwritten = numbersOf((await this.#session.query(text, params)).rows).map((at) => rows[at]!);
    if (before === undefined) return { present: unwritten };
    const ignored = unwritten.filter((row) => !before.has(row));
    if (ignored.length > 0 && rows.length > 1) throw NOT_TOGETHER;
    if (ignored.length > 0) await this.#lookFor(shape, ignored);
    return { present: unwritten.filter((row) => before.has(row)) };
  }

  /** A trigger may have put rows elsewhere, where they are seen all the same. @throws where it has not */
  async #lookFor(shape: RowShape, rows: readonly PendingRow[]): Promise<Outcome> {
    const present = await this.#present(shape, rows, false);
    if (present.size < rows.length) throw SOME_IGNORED;
    return ALL_WRITTEN;
  }

  /** Writes where no index tells of conflicts: what is there is looked for first. */
  async #merge(shape: RowShape, rows: readonly PendingRow[]): Promise<Outcome> {
    if (hasRepeated(rows)) throw NOT_TOGETHER;
    const present = await this.#present(shape, rows, this.#mode === "upsert");
    const others = rows.filter((row) => !present.has(row));
    const known = rows.filter((row) => present.has(row));
    if (this.#mode === "upsert" && known.length > 0 && shape.columns.length > shape.keyWidth) {
      const { text, params } = updateSql(this.#table, shape.columns, known);
      if ((await this.#session.query(text, params)).rowCount < known.length) throw SOME_IGNORED;
    }
    if (others.length > 0) {
      const { text, params } = insertSql(this.#table, shape.columns, others);
      if ((await this.#session.query(text, params)).rowCount < others.length) await this.#lookFor(shape, others);
    }
    return this.#mode === "upsert" ? ALL_WRITTEN : { present: known };
  }

  async #present(shape: RowShape, rows: readonly PendingRow[], lock: boolean): Promise<ReadonlySet<PendingRow>> {
    const { text, params } = presentSql(this.#table, shape.columns, rows, lock);
    return new Set(numbersOf((await this.#session.query(text, params)).rows).map((at) => rows[at]!));
  }

  /** What refers to others may go well when those are there, as long as some of them came. */
  async #retryRefused(shape: RowShape): Promise<void> {
    for (let before = 0; before < this.#written; ) {
      const waiting = this.#refused.filter(({ mayWait }) => mayWait);
      if (waiting.length === 0) return;
      before = this.#written;
      this.#refused = this.#refused.filter(({ mayWait }) => !mayWait);
      // From the other end, so that a chain of rows takes two rounds and not as many as it has links.
      await this.#settle(shape, waiting.map(({ row }) => row).reverse());
    }
  }

  /** Where a record was refused, the one stands that it would have replaced. */
  async #writeReplaced(shape: RowShape, replaced: Map<string, PendingRow[]>): Promise<void> {
    const refused = this.#refused.filter(({ row }) => replaced.has(row.key));
    for (const { row } of refused) {
      for (const earlier of replaced.get(row.key)!.reverse()) {
        const before = this.#written;
        await this.#settle(shape, [earlier]);
        if (this.#written > before) break;
      }
    }
  }

  #tellPresent({ index }: PendingRow): void {
    if (this.#mode === "skip") {
      this.skipped++;
      return;
    }
    const { id } = this.#records[index]!;
    const error = new P2PError(
      "DUPLICATE_ID",
      `The id ${JSON.stringify(String(id)).slice(0, 80)} is in the table "${this.#table.name}" already`,
    );
    this.failures.push({ index, id, error });
  }

  #tellRefused(): void {
    for (const { row, error } of this.#refused) {
      this.failures.push({ index: row.index, id: this.#records[row.index]!.id, error });
    }
    this.#refused = [];
  }

  #ignored(shape: RowShape): P2PError {
    const fixed = fixedColumn(shape);
    if (fixed !== undefined) {
      return new P2PError(
        "WRITE_FAILED",
        `${this.#label}: the record has another value in "${fixed.name}", an identity column that is GENERATED ALWAYS and cannot be changed; leave it out in a transform`,
      );
    }
    return new P2PError(
      "WRITE_FAILED",
      `${this.#label}: a trigger or a rule of the table "${this.#table.name}" ignored the record`,
    );
  }
}

/** A column beside the key that can be given a value when a row is new, and never again. */
function fixedColumn({ columns }: RowShape): RowShape["columns"][number] | undefined {
  return columns.find(({ isKey, isAlwaysIdentity }) => !isKey && isAlwaysIdentity);
}

/** COPY goes by no rules and no policies, and puts nothing into a view. */
export function mayCopy({ type, rowSecurity }: Table): boolean {
  return (type === "table" || type === "partitioned") && !rowSecurity;
}

/** Whether `ON CONFLICT` can go by the key. */
function byConflict({ type, key }: Table): boolean {
  return (type === "table" || type === "partitioned") && key.unique && key.immediate;
}

/** Where in a COPY the server met an error, from 1 on. It says it in the language of its messages. */
function lineOf(error: unknown, table: string): number | undefined {
  const where = (error as { readonly where?: unknown }).where;
  if (typeof where !== "string") return undefined;
  const start = where.lastIndexOf(`COPY ${table}, `);
  if (start < 0) return undefined;
  const line = /^\D*(\d+)/.exec(where.slice(start + `COPY ${table}, `.length))?.[1];
  return line === undefined || Number(line) < 1 ? undefined : Number(line);
}

/** Why the server did not take one record; `undefined` where the fault is none of a record. */
function rowError(error: unknown, label: string): P2PError | undefined {
  if (isP2PError(error)) return undefined;
  const known = recordError(error, label);
  if (known !== undefined) return known;
  // A value beyond the gigabyte that one may have.
  if (sqlState(error) === "XX000" && /invalid memory alloc request size/.test((error as Error).message)) {
    return new P2PError(
      "RECORD_TOO_LARGE",
      `${label} refused the record: it has a value of more than 1 GB, the most that PostgreSQL can hold; leave it out`,
      { cause: error },
    );
  }
  return undefined;
}

/** In the order of their keys, so that transactions that write the same rows wait for each other one way round. */
function sortByKey(rows: PendingRow[], table: Table): void {
  const compare = compareKeys(table);
  for (let at = 1; at < rows.length; at++) {
    if (compare(rows[at - 1]!.key, rows[at]!.key) > 0) {
      rows.sort((one, other) => compare(one.key, other.key));
      return;
    }
  }
}

/** Whether two of the rows, in the order of their keys, have one. */
function hasRepeated(rows: readonly PendingRow[]): boolean {
  for (let at = 1; at < rows.length; at++) if (rows[at - 1]!.key === rows[at]!.key) return true;
  return false;
}

/** Takes the rows out that a later one replaces. */
function takeReplaced(rows: PendingRow[]): Map<string, PendingRow[]> {
  const replaced = new Map<string, PendingRow[]>();
  const kept = rows.filter((row, at) => {
    if (rows[at + 1]?.key !== row.key) return true;
    const earlier = replaced.get(row.key) ?? [];
    replaced.set(row.key, earlier);
    earlier.push(row);
    return false;
  });
  rows.length = 0;
  for (const row of kept) rows.push(row);
  return replaced;
}

/** Parts of which each fits into a statement. */
function* parts(rows: readonly PendingRow[]): Generator<readonly PendingRow[]> {
  let from = 0;
  let characters = 0;
  for (const [at, { cells }] of rows.entries()) {
    let its = 0;
    for (const cell of cells) its += cell?.length ?? 0;
    if (at > from && characters + its > STATEMENT_CHARACTERS) {
      yield rows.slice(from, at);
      from = at;
      characters = 0;
    }
    characters += its;
  }
  if (from < rows.length) yield from === 0 ? rows : rows.slice(from);
}
