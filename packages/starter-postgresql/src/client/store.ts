/** An open store: a pool of connections to one database, with what everything that works on it needs. */
import { isP2PError, P2PError, unlessAborted } from "@omni/p2p-core/starter";
import type { PostgresqlEndpoint, TableName } from "../endpoint.ts";
import { type Ask, describeTable, findTable, resolveTypes, type TablePlace } from "./catalogue.ts";
import type { Connector, Greeting } from "./connect.ts";
import type { Connection } from "./connection.ts";
import { type Doing, postgresqlError, sqlState } from "./errors.ts";
import { Pool } from "./pool.ts";
import type { Answer, Cell, Session } from "./session.ts";
import type { ColumnType, Table } from "./table.ts";
import { assertKeyed, onlyTable, tableMissing } from "./tables.ts";
import { TransactionSession } from "./transaction.ts";

/** Most connections of one endpoint. */
const MOST_CONNECTIONS = 8;

/** One column that a query gives. */
export interface QueryColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly typmod: number;
}

/** How a store is used. */
interface StoreOptions {
  readonly readOnly: boolean;
  readonly lockTimeoutMs: number;
}

/** An open database. */
export class PostgresqlStore {
  readonly endpoint: PostgresqlEndpoint;
  readonly label: string;
  /** `server_version_num`: 150013 is 15.13. */
  readonly version: number;
  readonly greeting: Greeting;
  readonly #connector: Connector;
  readonly #pool: Pool;
  /** Lets a pool go that others use, too. */
  readonly #letGo: (() => Promise<void>) | undefined;
  readonly #readOnly: boolean;
  readonly #lockTimeoutMs: number;
  /** The table that is read or written: the endpoint's, until another is named. */
  #tableName: TableName | undefined;
  #table: Promise<Table | undefined> | undefined;

  private constructor(
    connector: Connector,
    greeting: Greeting,
    pool: Pool,
    letGo: (() => Promise<void>) | undefined,
    options: StoreOptions,
  ) {
    this.endpoint = connector.endpoint;
    this.label = connector.endpoint.label;
    this.greeting = greeting;
    this.#connector = connector;
    this.version = greeting.version;
    this.#readOnly = options.readOnly;
    this.#lockTimeoutMs = options.lockTimeoutMs;
    this.#tableName = connector.endpoint.table;
    this.#pool = pool;
    this.#letGo = letGo;
  }

  /** Connects, and makes sure that the server answers. */
  static async open(connector: Connector, options: StoreOptions, signal: AbortSignal): Promise<PostgresqlStore> {
    const { connection, greeting } = await connector.connect(signal);
    const { label } = connector.endpoint;
    const pool = new Pool(async (later) => (await connector.connect(later)).connection, MOST_CONNECTIONS, label);
    pool.add(connection);
    return new PostgresqlStore(connector, greeting, pool, undefined, options);
  }

  /** A store that takes its connections from a pool of several, and lets it go in the end. */
  static sharing(
    connector: Connector,
    { pool, greeting }: { readonly pool: Pool; readonly greeting: Greeting },
    letGo: () => Promise<void>,
    options: StoreOptions,
  ): PostgresqlStore {
    return new PostgresqlStore(connector, greeting, pool, letGo, options);
  }

  /** The name of the table, where one is known. */
  get tableName(): TableName | undefined {
    return this.#tableName;
  }

  /** Says which table it is, where the endpoint leaves that open. */
  nameTable(name: TableName): void {
    this.#tableName = name;
    this.forgetTable();
  }

  /**
   * Does something in one transaction, which is committed when it returns and rolled back when it throws: READ ONLY unless it
   * is to write.
   *
   * @throws P2PError of whatever the server, the driver or the socket complained of; the signal's reason when it aborted.
   */
  transaction<T>(doing: Doing, signal: AbortSignal, run: (session: Session) => Promise<T>): Promise<T> {
    return this.#within(doing, signal, async (session) => {
      const result = await run(session);
      await session.commit();
      return result;
    });
  }

  /** One statement in a transaction of its own, all in one round trip. */
  query(doing: Doing, signal: AbortSignal, text: string, params?: readonly Cell[]): Promise<Answer> {
    return this.#within(doing, signal, (session) => session.only(text, params));
  }

  /**
   * Copies rows in the binary format in a transaction of its own, all in one round trip. The server does not wait for anybody to look at
   * the number of rows: it is for tables where nothing can take no notice of some.
   *
   * @param afterwards statements that are run when the rows are there.
   */
  copyIn(signal: AbortSignal, sql: string, chunks: Iterable<Buffer>, afterwards: readonly string[]): Promise<void> {
    return this.#within("write", signal, (session) => session.onlyCopyIn(sql, chunks, afterwards));
  }

  async #within<T>(doing: Doing, signal: AbortSignal, run: (session: TransactionSession) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const connection = await this.#acquire(doing, signal);
    const readOnly = this.#readOnly || doing !== "write";
    const session = new TransactionSession(connection, { readOnly, lockTimeoutMs: this.#lockTimeoutMs }, signal);
    const work = this.#settled(connection, session, doing, run);
    try {
      return await unlessAborted(work, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }

  async #settled<T>(
    connection: Connection,
    session: TransactionSession,
    doing: Doing,
    run: (session: TransactionSession) => Promise<T>,
  ): Promise<T> {
    try {
      return await run(session);
    } catch (error) {
      throw this.#understood(error, doing);
    } finally {
      // Who waits for the result need not wait for this where nothing is left to do.
      const usable = await session.finish(
        () => new P2PError("INVALID_STATE", `${this.label}: the transaction is over`),
      );
      if (usable) this.#pool.release(connection);
      else this.#pool.discard(connection);
    }
  }

  #understood(error: unknown, doing: Doing): P2PError {
    if (isP2PError(error)) return error;
    // Where there are several hosts, another one has become the primary.
    if (sqlState(error) === "25006" && doing === "write" && this.endpoint.hosts.length > 1) {
      this.#pool.discardIdle();
      return new P2PError(
        "CONNECTION_LOST",
        `Cannot write to ${this.label}: the server is no longer the primary; try again when another of its hosts is`,
        { cause: error, retryable: true },
      );
    }
    return postgresqlError(error, doing, this.label);
  }

  async #acquire(doing: Doing, signal: AbortSignal): Promise<Connection> {
    try {
      return await this.#pool.acquire(signal);
    } catch (error) {
      signal.throwIfAborted();
      throw reconnectError(error, doing, this.endpoint.hosts.length > 1);
    }
  }

  /**
   * A connection of the caller's own that speaks the replication protocol.
   *
   * @throws P2PError of opening; the cause is what the server said.
   */
  connectReplication(signal: AbortSignal): Promise<Connection> {
    return this.#connector.connectReplication(signal);
  }

  /** The table of the endpoint, as the catalogue has it; `undefined` where there is none. Looked at once until it is forgotten. */
  table(signal: AbortSignal): Promise<Table | undefined> {
    const name = this.#tableName;
    if (name === undefined) return Promise.resolve(undefined);
    if (this.#table !== undefined) return unlessAborted(this.#table, signal);
    const looking = this.describe(name, signal);
    this.#table = looking;
    looking.catch(() => {
      if (this.#table === looking) this.#table = undefined;
    });
    return looking;
  }

  /** Looks at a table anew; within a transaction by its session. */
  describe(name: TableName, signal: AbortSignal, session?: Session): Promise<Table | undefined> {
    return describeTable(this.asking(signal, session), name, this.endpoint.key);
  }

  /** Where a table is now, in a fraction of the time that it takes to look at it. */
  find(name: TableName, signal: AbortSignal, session?: Session): Promise<TablePlace | undefined> {
    return findTable(this.asking(signal, session), name);
  }

  /** Asks the catalogue; within a transaction by its session. */
  asking(signal: AbortSignal, session?: Session): Ask {
    return session
      ? (text, params) => session.query(text, params)
      : (text, params) => this.query("read", signal, text, params);
  }

  /**
   * The table as it is now, checked to be one that can be read.
   *
   * @throws P2PError `SOURCE_NOT_FOUND` where it is missing, `INVALID_ENDPOINT` where nothing names its rows.
   */
  async requireTable(signal: AbortSignal): Promise<Table> {
    const ask = this.asking(signal);
    if (this.#tableName === undefined) this.nameTable(await onlyTable(ask, this.endpoint));
    const table = await this.table(signal);
    if (table === undefined) throw await tableMissing(ask, this.#tableName!, this.endpoint);
    assertKeyed(table, this.endpoint);
    return table;
  }

  /** Must be called when the table was made, changed or dropped. */
  forgetTable(): void {
    this.#table = undefined;
  }

  /** What a query gives, which is not run. */
  describeQuery(signal: AbortSignal, sql: string): Promise<readonly QueryColumn[]> {
    return this.#within("read", signal, async (session) => {
      const fields = await session.describe(sql);
      const oids = fields.map(({ typeOid }) => typeOid);
      const types = await resolveTypes((text, params) => session.query(text, params), oids);
      return fields.map(({ name, typeOid, typmod }) => ({ name, typmod, type: types.get(typeOid)! }));
    });
  }

  async close(): Promise<void> {
    await (this.#letGo === undefined ? this.#pool.close() : this.#letGo());
  }
}

/**
 * What hinders a connection that is opened later is the loss of the store, and may be over when it is tried again: of several hosts,
 * one becomes the primary.
 */
function reconnectError(error: unknown, doing: Doing, severalHosts: boolean): unknown {
  if (!isP2PError(error) || doing === "open") return error;
  const isLost =
    error.code === "CONNECTION_FAILED" ||
    error.code === "TIMEOUT" ||
    (error.code === "TARGET_NOT_WRITABLE" && severalHosts);
  if (!isLost && error.code !== "BUSY") return error;
  return new P2PError(isLost ? "CONNECTION_LOST" : "BUSY", error.message, { cause: error.cause, retryable: true });
}
