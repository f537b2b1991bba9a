/** Relations: what a query reads from, a table or the rows of a native SELECT. */
import { isP2PError, P2PError, type ParsedQuery } from "@omni/p2p-core/starter";
import { nameFields, stateOf } from "../client/catalogue.ts";
import { isServerError } from "../client/errors.ts";
import type { Cell } from "../client/session.ts";
import { literal, qualified } from "../client/sql.ts";
import type { PostgresqlStore } from "../client/store.ts";
import type { Column, Table, TableKey } from "../client/table.ts";
import { type ParsedNative, parseNative } from "./native-query.ts";
import { Params } from "./params.ts";

/** What rows are read from. */
export class Relation {
  readonly table: Table;
  /** What stands after FROM. */
  readonly from: string;
  /** A condition that holds as long as the name is that of the very table; looked at once a statement. */
  readonly same: string | undefined;
  readonly #params: readonly Cell[];

  constructor(table: Table, from: string, params: readonly Cell[] = []) {
    this.table = table;
    this.from = from;
    this.#params = params;
    const isStored = table.type === "table" || table.type === "partitioned";
    this.same = isStored
      ? `${literal(from)}::pg_catalog.regclass::pg_catalog.oid = ${table.oid}::pg_catalog.oid`
      : undefined;
  }

  /** The parameters of a statement on it: its own come first. */
  params(): Params {
    return new Params(this.#params);
  }
}

/** What the queries of one store read; a table is looked at anew when it was changed, which costs less than to look at it each time. */
export class Relations {
  readonly #store: PostgresqlStore;

  constructor(store: PostgresqlStore) {
    this.#store = store;
  }

  /**
   * The table or the native SELECT that a query reads.
   *
   * @throws P2PError `SOURCE_NOT_FOUND`, `INVALID_ENDPOINT`, `INVALID_QUERY`, `UNSUPPORTED_QUERY`
   */
  async open(query: ParsedQuery, signal: AbortSignal): Promise<Relation> {
    const native = parseNative(query);
    if (native !== undefined) return queryRelation(this.#store, native, signal);
    const known = await this.#store.table(signal);
    if (known !== undefined) {
      const name = qualified(known);
      if ((await stateOf(this.#store.asking(signal), name)) === known.state)
        return new Relation(await this.#store.requireTable(signal), name);
    }
    return this.look(signal);
  }

  /** The table of the endpoint as it is now, with its size. */
  async look(signal: AbortSignal): Promise<Relation> {
    this.#store.forgetTable();
    const table = await this.#store.requireTable(signal);
    return new Relation(table, qualified(table));
  }
}

/** Says that a table was dropped, and made anew perhaps, while it was read. */
export async function assertStillThere(
  store: PostgresqlStore,
  { table }: Relation,
  signal: AbortSignal,
): Promise<void> {
  if (table.type !== "table" && table.type !== "partitioned") return;
  if ((await store.find(store.tableName!, signal))?.oid === table.oid) return;
  store.forgetTable();
  // Says what is wrong where there is none any more.
  const now = await store.requireTable(signal);
  if (now.oid === table.oid) return;
  throw new P2PError(
    "READ_FAILED",
    `${store.label}: the table ${qualified(table)} was dropped and made anew while it was read; start the transfer anew`,
  );
}

async function queryRelation(store: PostgresqlStore, native: ParsedNative, signal: AbortSignal): Promise<Relation> {
  const invalid = (what: string) => new P2PError("INVALID_QUERY", `Invalid query: native.postgresql.sql ${what}`);
  // The end of the line ends a comment in it.
  const from = `(${native.sql}\n) AS "query"`;
  let columns: Column[];
  try {
    const fields = await store.describeQuery(signal, `SELECT * FROM ${from}`);
    columns = fields.map(({ name, type, typmod }) => ({
      name,
      field: name,
      type,
      typmod,
      declared: type.name,
      notNull: false,
      generated: false,
      identity: undefined,
      default: undefined,
      collation: undefined,
      byCodePoint: false,
      optional: false,
    }));
  } catch (error) {
    const cause = isP2PError(error) ? error.cause : error;
    if (!isServerError(cause) || !/^(?:42|22|0A)/.test(cause.code) || cause.code === "42501") throw error;
    throw new P2PError("INVALID_QUERY", `Invalid query: native.postgresql.sql must be a SELECT: ${cause.message}`, {
      cause: error,
    });
  }
  const names = new Set<string>();
  for (const { name } of columns) {
    if (names.has(name)) throw invalid(`has two columns "${name}"; name one of them otherwise with AS`);
    names.add(name);
  }
  const keyColumns = native.key.map((name) => {
    const column = columns.find((candidate) => candidate.name === name);
    if (column === undefined) {
      throw invalid(`has no column "${name}" for its key; name another by native.postgresql.key`);
    }
    return { column, descending: false, nullsFirst: false };
  });
  const named = nameFields(columns, { columns: keyColumns, unique: false, primary: false, immediate: false });
  const key: TableKey = {
    columns: keyColumns.map((part) => ({ ...part, column: named[columns.indexOf(part.column)]! })),
    unique: false,
    primary: false,
    immediate: false,
  };
  const table: Table = {
    oid: 0,
    schema: "",
    name: "query",
    type: "query",
    state: "",
    own: false,
    columns: named,
    key,
    uniques: [],
    hasTriggers: false,
    plainVersion: undefined,
    rowSecurity: false,
    estimatedRows: -1,
    bytes: -1,
  };
  return new Relation(table, from, native.params);
}
