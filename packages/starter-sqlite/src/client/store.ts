import { statSync } from "node:fs";
import { P2PError, sleep } from "@omni/p2p-core/starter";
import type { Database, Statement } from "better-sqlite3";
import type { SqliteEndpoint } from "../endpoint.ts";
import { type Activity, isBusy, sqliteError } from "./errors.ts";
import { closeOrKeep } from "./held-files.ts";
import type { SqlValue } from "./sql.ts";
import { describeTable, type Table } from "./table.ts";

/** A prepared statement whose rows are objects of cells. */
export type RowStatement = Statement<SqlValue[], Record<string, SqlValue>>;
/** A prepared statement that gives the first column alone. */
export type PluckStatement = Statement<SqlValue[], SqlValue>;

/** How the rows of a statement come. `exact` gives integers as bigints. */
type RowForm = "plain" | "exact" | "first" | "exact first";

const MAX_STATEMENTS = 200;

/** An open database file, with what everything that works on it needs: prepared statements, patience, a schema. */
export class SqliteStore {
  readonly db: Database;
  readonly endpoint: SqliteEndpoint;
  /** How long a lock is waited for, in milliseconds. */
  readonly patienceMs: number;
  readonly readOnly: boolean;
  /**
   * Until when a lock is waited for that stands in the way of opening: sooner than the one who opens loses patience, and
   * says that the store gives no answer.
   */
  readonly #openBy: number;
  /** What tells the file that was opened from another one under its path, where that can be told. */
  readonly inode: string | undefined;
  /** Whether there was no file before it was opened. */
  readonly made: boolean;
  readonly #statements = new Map<RowForm, Map<string, Statement<SqlValue[], unknown>>>();
  #isClosed = false;
  #pageSize: number | undefined;
  #described: { readonly version: SqlValue; readonly name: string; readonly table: Table | undefined } | undefined;

  constructor(
    db: Database,
    endpoint: SqliteEndpoint,
    options: {
      readonly patienceMs: number;
      readonly readOnly: boolean;
      readonly inode: string | undefined;
      readonly made?: boolean;
    },
  ) {
    this.db = db;
    this.endpoint = endpoint;
    this.patienceMs = options.patienceMs;
    this.readOnly = options.readOnly;
    this.inode = options.inode;
    this.made = options.made ?? false;
    this.#openBy = performance.now() + options.patienceMs - Math.max(50, options.patienceMs / 10);
  }

  /** A statement with rows as objects. Prepared once. */
  rows(sql: string, exact = false): RowStatement {
    return this.#prepare(sql, exact ? "exact" : "plain") as RowStatement;
  }

  /** A statement that gives one value a row; integers come as bigints if `exact`. */
  values(sql: string, exact = false): PluckStatement {
    return this.#prepare(sql, exact ? "exact first" : "first") as PluckStatement;
  }

  #prepare(sql: string, form: RowForm): Statement<SqlValue[], unknown> {
    // By form first: joining the two would make a new text to hash for every call.
    const prepared = this.#statements.get(form) ?? new Map<string, Statement<SqlValue[], unknown>>();
    this.#statements.set(form, prepared);
    const known = prepared.get(sql);
    if (known !== undefined) return known;
    const statement = this.db.prepare<SqlValue[], unknown>(sql);
    if (form.startsWith("exact")) statement.safeIntegers(true);
    if (form.endsWith("first")) statement.pluck(true);
    if (prepared.size >= MAX_STATEMENTS) prepared.delete(prepared.keys().next().value!);
    prepared.set(sql, statement);
    return statement;
  }

  /** Changes with every change of the schema, and with VACUUM. */
  schemaVersion(): number {
    return this.values("PRAGMA schema_version").get() as number;
  }

  /** Bytes of the database, the write-ahead log included. */
  size(): number {
    this.#pageSize ??= this.values("PRAGMA page_size").get() as number;
    return (this.values("PRAGMA page_count").get() as number) * this.#pageSize;
  }

  /**
   * Reads several things from one state of the file, whatever others write meanwhile. What is done must be over at
   * once: a state that is held on to keeps the write-ahead log from being emptied.
   *
   * @param work is given the schema version of that state.
   */
  snapshot<T>(work: (version: number) => T): T {
    if (this.db.inTransaction) return work(this.schemaVersion());
    this.rows("BEGIN").run();
    try {
      return work(this.schemaVersion());
    } finally {
      this.rows("COMMIT").run();
    }
  }

  /** The table as it is now; `undefined` when there is none of that name. */
  table(name: string): Table | undefined {
    const version = this.schemaVersion();
    if (this.#described?.version !== version || this.#described.name !== name) {
      this.#described = { version, name, table: describeTable(this.db, name, this.keyOption) };
    }
    return this.#described.table;
  }

  /** Must be called when a schema change was rolled back, since the version goes back with it. */
  forgetTable(): void {
    this.#described = undefined;
  }

  /** The columns of the option `key`. */
  get keyOption(): readonly string[] | undefined {
    return this.endpoint.options.key?.split(",").map((name) => name.trim());
  }

  /**
   * Does something that may meet a lock, and waits without holding up the process until the lock is gone.
   *
   * @throws P2PError `BUSY` when the time is over, and whatever else SQLite complains of.
   */
  async patiently<T>(activity: Activity, signal: AbortSignal, work: () => T): Promise<T> {
    const since = performance.now();
    const deadline = activity === "opened" ? this.#openBy : since + this.patienceMs;
    for (let wait = 2; ; wait = Math.min(wait * 2, 100)) {
      signal.throwIfAborted();
      try {
        return work();
      } catch (error) {
        if (!isBusy(error)) throw sqliteError(error, this.endpoint.label, activity);
        const left = deadline - performance.now();
        if (left <= 0) throw this.#locked(error, performance.now() - since);
        await sleep(Math.min(wait * (0.5 + Math.random()), left), signal);
      }
    }
  }

  #locked(cause: unknown, waitedMs: number): P2PError {
    return new P2PError(
      "BUSY",
      `${this.endpoint.label} is locked by another process, and was so for ${Math.round(waitedMs)} ms; ` +
        "try again when that one is done, or allow more by connection_timeout",
      { cause, retryable: true },
    );
  }

  /**
   * Makes sure that the path still leads to the file that is open: what is written to a deleted file is gone.
   *
   * @throws P2PError `CONNECTION_LOST`
   */
  assertSameFile(): void {
    if (this.inode === undefined) return;
    const inode = inodeOf(this.endpoint.file);
    if (inode === this.inode) return;
    throw new P2PError(
      "CONNECTION_LOST",
      `The file of ${this.endpoint.label} was ${inode === undefined ? "deleted or moved" : "replaced by another"} ` +
        "while it was open; connect again",
      { retryable: inode !== undefined },
    );
  }

  /**
   * Closes the file. What stands in the write-ahead log is moved into it first, also when others have it open: a log
   * without its file is lost on whoever copies the file.
   */
  close(): void {
    if (this.#isClosed || !this.db.open) return;
    this.#isClosed = true;
    closeOrKeep(this.db, this.endpoint.file, this.readOnly, this.inode);
  }
}

/** What tells a file from another one of the same name; `undefined` when there is none. */
export function inodeOf(file: string): string | undefined {
  // Not by a promise: this is asked for every batch, and a trip through the thread pool takes longer than the batch.
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  return found && inodeText(found);
}

/** The same of a file that was looked at. */
export function inodeText({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${dev}:${ino}`;
}
