/** Keyset pages: rows in the order of the key, each page in a transaction of its own, the next one fetched while one is worked on. */
import { P2PError } from "@omni/p2p-core/starter";
import type { Answer, Row } from "../client/session.ts";
import { quote } from "../client/sql.ts";
import { typeNameOf } from "../query/column-kind.ts";
import { boundsError } from "../query/cursor.ts";
import { orderClause, rowsAfter, rowsUpTo, storageOrder, type Term } from "../query/keyset.ts";
import { allOf, type Fragment, whereClause } from "../query/params.ts";
import type { Part } from "../query/partition.ts";
import { assertStillThere } from "../query/relation.ts";
import { type Scan, sizeOf } from "./scan.ts";

/** Rows of a page at most. */
const MOST_ROWS = 4000;
/** Rows of the first page of a table of which nothing is known. */
const FIRST_ROWS = 500;
/** Bytes that a page is to have, about. */
const PAGE_BYTES = 4 * 1024 * 1024;
/** How many times as many rows a page may have as the one before it. */
const GROWTH = 8;

/** How pages are read. */
export interface PageOptions {
  /** The key of the last row that need not be read. */
  readonly after: readonly string[] | undefined;
  readonly part: Part;
  /** Rows to pass over at the beginning. */
  readonly skip: number;
  /** Most rows to read. */
  readonly limit: number;
  /** Bytes of a batch. */
  readonly bytes: number;
  readonly signal: AbortSignal;
}

/** How many rows the next page is to have, by what the last one had. */
export class PageSize {
  readonly #bytes: number;
  #rows: number;

  constructor(
    { bytes, estimatedRows }: { readonly bytes: number; readonly estimatedRows: number },
    batchBytes: number,
  ) {
    this.#bytes = Math.max(1, Math.min(PAGE_BYTES, batchBytes));
    const average = bytes > 0 && estimatedRows > 0 ? bytes / estimatedRows : undefined;
    this.#rows = average === undefined ? FIRST_ROWS : this.#fitting(2 * average);
  }

  get rows(): number {
    return this.#rows;
  }

  note(rows: readonly Row[]): void {
    if (rows.length === 0) return;
    // Every eighth row tells enough of their size.
    let bytes = 0;
    let seen = 0;
    for (let at = 0; at < rows.length; at += 8) {
      bytes += sizeOf(rows[at]!);
      seen++;
    }
    this.#rows = Math.min(this.#rows * GROWTH, this.#fitting(bytes / seen));
  }

  #fitting(average: number): number {
    return Math.max(1, Math.min(MOST_ROWS, Math.floor(this.#bytes / Math.max(1, average))));
  }
}

/** The pages of a table. */
export async function* keysetPages(scan: Scan, options: PageOptions): AsyncGenerator<readonly Row[]> {
  const { store, relation, plan } = scan;
  const order = storageOrder(relation.table);
  const upTo = options.part.upTo && rowsUpTo(order, options.part.upTo);
  const given = new AbortController();
  const signal = AbortSignal.any([options.signal, given.signal]);
  const size = new PageSize(relation.table, options.bytes);
  const guard = await largeRowGuard(scan, signal);
  let left = options.limit;
  const ask = (after: readonly string[] | undefined, skip: number) => {
    const rows = Math.min(size.rows, left);
    const condition = allOf([after && rowsAfter(order, after), upTo, scan.filter.sql]);
    const answer = fetchPage(scan, order, condition, { rows, skip, guard, bytes: options.bytes }, signal);
    answer.catch(() => {});
    return { rows, answer };
  };
  let position = options.after ?? options.part.after;
  let page = ask(position, options.skip);
  let types: string | undefined;
  try {
    for (;;) {
      let answer: Answer;
      try {
        answer = await page.answer;
      } catch (error) {
        signal.throwIfAborted();
        throw types === undefined ? boundsError(error, options) : error;
      }
      const now = JSON.stringify(answer.fields.map(({ typeOid, typmod }) => [typeOid, typmod]));
      if (types !== undefined && now !== types) throw altered(scan);
      types = now;
      const { rows } = answer;
      const isLast = guard === undefined ? rows.length < page.rows : rows.length === 0;
      left -= rows.length;
      if (rows.length > 0) position = plan.keyOf(rows.at(-1)!) as string[];
      const goesOn = !isLast && left > 0;
      size.note(rows);
      if (goesOn) page = ask(position, 0);
      if (rows.length > 0) yield rows;
      if (goesOn) continue;
      // A table that is another one by now has no rows here either.
      if (left > 0) await assertStillThere(store, relation, options.signal);
      return;
    }
  } finally {
    given.abort(new P2PError("ABORTED", "Reading was given up"));
  }
}

interface PageRequest {
  readonly rows: number;
  readonly skip: number;
  /** The size of a row in SQL, where rows may be so large that they must be counted by it. */
  readonly guard: string | undefined;
  readonly bytes: number;
}

function fetchPage(
  { store, relation, plan }: Scan,
  order: readonly Term[],
  condition: Fragment | undefined,
  { rows, skip, guard, bytes }: PageRequest,
  signal: AbortSignal,
): Promise<Answer> {
  const params = relation.params();
  const same = relation.same;
  const where = whereClause(allOf([condition, same === undefined ? undefined : () => same]), params);
  const limit = ` LIMIT ${rows}${skip > 0 ? ` OFFSET ${skip}` : ""}`;
  if (guard === undefined) {
    const text = `SELECT ${plan.select.join(", ")} FROM ${relation.from}${where}${orderClause(order)}${limit}`;
    return store.query("read", signal, text, params.list);
  }
  const columns = plan.select.map((text, at) => `${text} AS c${at}`);
  const sorted = order.map((term, at) => ({ ...term, text: `c${at}` }));
  const names = plan.select.map((_, at) => `c${at}`).join(", ");
  const text =
    `SELECT ${names} FROM (SELECT ${names}, sum(size) OVER (${orderClause(sorted).trim()} ROWS UNBOUNDED PRECEDING) - size AS before ` +
    `FROM (SELECT ${columns.join(", ")}, ${guard} AS size FROM ${relation.from}${where}${orderClause(order)}${limit}) AS "page") AS "sized" ` +
    `WHERE before < ${Math.max(1, Math.floor(bytes / 2))}${orderClause(sorted)}`;
  return store.query("read", signal, text, params.list);
}

/** Types whose length the server tells without looking at the value. */
const MEASURED: ReadonlySet<string> = new Set(["text", "varchar", "bpchar", "bytea"]);
/** How much larger other values are than their compressed form, about. */
const COMPRESSION = 4;
/** Types of a fixed size. */
const FIXED =
  /^(?:bool|int[248]|oid|float[48]|timestamp|timestamptz|date|time|timetz|interval|uuid|name|char|money|macaddr8?|pg_lsn|point|box|lseg|circle|line)$/;

/**
 * The size of a row in SQL, for tables that have rows too large for a page of the server: there a few rows may be more than memory
 * bears. `undefined` where every row fits into a page.
 */
async function largeRowGuard({ store, relation, plan }: Scan, signal: AbortSignal): Promise<string | undefined> {
  const { table } = relation;
  const columns = table.columns.filter((column) => plan.columnAt(column.field) !== undefined);
  const variable = columns.filter((column) => !FIXED.test(typeNameOf(column)));
  if (variable.length === 0 && !table.own) return undefined;
  const { rows } = await store.query(
    "read",
    signal,
    `SELECT max(pg_catalog.pg_relation_size(c.reltoastrelid)) FROM pg_catalog.pg_class c
     WHERE c.reltoastrelid <> 0 AND (c.oid = $1::pg_catalog.oid OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid)))`,
    [String(table.oid)],
  );
  if (Number(rows[0]?.[0] ?? 0) === 0) return undefined;
  const sizes = variable.map((column) => {
    const cell = quote(column.name);
    const isMeasured = MEASURED.has(typeNameOf(column));
    const size = isMeasured
      ? `pg_catalog.octet_length(${cell})`
      : `${COMPRESSION} * pg_catalog.pg_column_size(${cell})`;
    return `coalesce(${size}, 0)`;
  });
  if (table.own) sizes.push(`coalesce(${COMPRESSION} * pg_catalog.pg_column_size("_p2p"), 0)`);
  return `(100 + ${sizes.map((size) => `${size}::pg_catalog.int8`).join(" + ")})`;
}

function altered({ store, relation }: Scan): P2PError {
  return new P2PError(
    "READ_FAILED",
    `${store.label}: the columns of "${relation.table.name}" were altered while it was read; start the transfer anew`,
  );
}
