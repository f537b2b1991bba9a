import { isUtf8 } from "node:buffer";
import {
  isNoBytesKey,
  matches,
  P2PError,
  type P2PId,
  type P2PRecord,
  type ParsedQuery,
  pickFields,
  type QueryCondition,
  type ReadFailure,
} from "@omni/p2p-core/starter";
import { allOf, type KeyValue, quote, RawText, type Sql, type SqlValue, whereClause } from "../client/sql.ts";
import type { RowStatement, SqliteStore } from "../client/store.ts";
import { isAnchor } from "../query/cursor.ts";
import { orderClause, rowsAfter, rowsUpTo, type Term } from "../query/keyset.ts";
import type { Relation } from "../query/relation.ts";
import { type Filter, translateWhere } from "../query/where.ts";
import { SIDECAR } from "../types.ts";
import { INEXACT, type Row } from "../values/measure.ts";
import { RowPlan } from "../values/row-plan.ts";

/** Everything about reading a query that stays the same from page to page. */
export interface Scan {
  readonly store: SqliteStore;
  readonly relation: Relation;
  readonly plan: RowPlan;
  /** For rows of a table of ours without a sidecar, which need not be copied. */
  readonly plainPlan: RowPlan | undefined;
  readonly order: readonly Term[];
  /** What rows must meet, as far as SQL can say it. */
  readonly condition: Sql | undefined;
  readonly check: Filter["check"];
  readonly conditions: readonly QueryCondition[];
  /**
   * Statements of which rows were drawn for nothing: see {@link drawForNothing}. Absent where the first rows of a statement cost
   * more than is won: those of a view, those that are sorted or must be searched for.
   */
  readonly drawn?: WeakSet<RowStatement>;
  /** Pages that are still read with exact integers, since a large one was met: they come together. */
  readonly exactPages: { left: number };
  /** The fields to pick after the check; `undefined` when the plan reads just those. */
  readonly pick: readonly string[] | undefined;
}

/** What is the same for every page of a query. */
export function makeScan(
  store: SqliteStore,
  relation: Relation,
  query: ParsedQuery,
  where: Sql | undefined,
  order: Scan["order"],
  position: ConstructorParameters<typeof RowPlan>[2],
): Scan {
  const { table } = relation;
  const filter = translateWhere(table, query.conditions);
  const checkedFields = filter.check === "none" ? [] : query.conditions.map(({ field }) => field);
  const pick = query.fields !== undefined && checkedFields.length > 0 ? query.fields : undefined;
  const wanted = query.fields && new Set([...query.fields, ...checkedFields]);
  return {
    store,
    relation,
    plan: new RowPlan(table, wanted, position),
    plainPlan: table.own && filter.check === "none" ? new RowPlan(table, wanted, position, false) : undefined,
    order,
    condition: allOf([filter.sql && { ...filter.sql, text: `(${filter.sql.text})` }, where]),
    check: filter.check,
    conditions: query.conditions,
    exactPages: { left: 0 },
    pick,
  };
}

/** Which part of a scan to read. Positions are values of its order. */
export interface PageRequest {
  readonly after: readonly KeyValue[] | undefined;
  readonly upTo: readonly KeyValue[] | undefined;
  /** Rows behind this position are passed over, without a say in how SQLite finds the others. */
  readonly bound: readonly KeyValue[] | undefined;
  /** Most rows to look at. */
  readonly limit: number;
  /** Most records to find. */
  readonly take: number;
  /** Bytes that still go into the batch. */
  readonly budget: number;
  /** Whether a row that is larger than the budget comes all the same, since it would be alone. */
  readonly alone: boolean;
  /** Rows to pass over first. */
  readonly offset: number;
  /** Whether SQLite must go by the order alone, and through no index. */
  readonly notIndexed: boolean;
  /** Whether all rows may be fetched in one go; else they are drawn one by one, which takes a fifth longer. */
  readonly atOnce: boolean;
}

/** Pages read with exact integers once there was need, before it is tried again without. */
const EXACT_PAGES = 16;

/** Rows that were looked at, and what became of them. */
export interface Page {
  readonly records: P2PRecord[];
  readonly failures: ReadFailure[];
  /** Whether nothing can be wrong with the records. */
  readonly valid: boolean;
  /** Whether no other row has the id of any of them. */
  readonly distinct: boolean;
  readonly bytes: number;
  /** Rows looked at. */
  readonly scanned: number;
  /** Those of them that have a sidecar, if the plan reads it. */
  readonly sidecars: number;
  /** Whether there is nothing more in the part that was asked for. */
  readonly ended: boolean;
  /** Whether it stopped before a row that would have been too many bytes. */
  readonly cut: boolean;
  /** The stored values of the last row's position, as the plan gives them. */
  readonly position: readonly KeyValue[];
}

/** A term that SQLite does not look for an index for. */
export function aside(term: Term): Term {
  return { ...term, text: `+${term.text}` };
}

/**
 * The position of the last row there is, so that a read ends although rows are added behind it; `undefined` where there is
 * none, or where it would take a search.
 */
export function lastPosition(store: SqliteStore, { table, from }: Relation, order: readonly Term[]) {
  if (table.type !== "table") return undefined;
  const turned = order.map((term) => ({ ...term, descending: !term.descending }));
  const sql =
    `SELECT ${order.map(({ text }, at) => `${text} AS k${at}`).join(", ")} FROM ${from.text} NOT INDEXED` +
    `${orderClause(turned)} LIMIT 1`;
  const row = store.rows(sql, true).get();
  const position = row && order.map((_, at) => row[`k${at}`]!);
  // Text that is not valid UTF-8 lies behind what is read of it, so that it is no bound.
  return position?.every(isAnchor) ? position : undefined;
}

/**
 * The statement of a page. Its limit is written out: SQLite plans a statement anew whenever a parameter is set that
 * its plan hangs on, as it does on a limit, and the driver then makes anew what it makes the rows with.
 */
export function pageSql({ relation, plan, order, condition }: Scan, request: PageRequest, select = plan.select): Sql {
  const where = allOf([
    request.after && rowsAfter(order, request.after),
    request.upTo && rowsUpTo(order, request.upTo),
    request.bound && rowsUpTo(order.map(aside), request.bound),
    condition,
  ]);
  const hint = request.notIndexed || relation.table.strangeIndexes ? " NOT INDEXED" : "";
  return {
    text:
      `SELECT ${select} FROM ${relation.from.text}${hint}${whereClause(where)}${orderClause(order)} ` +
      `LIMIT ${request.limit}${request.offset > 0 ? " OFFSET ?" : ""}`,
    params: [...relation.from.params, ...(where?.params ?? []), ...(request.offset > 0 ? [request.offset] : [])],
  };
}

/** Reads a page in one statement. To be called in a snapshot. */
export function readPage(scan: Scan, request: PageRequest): Page {
  const page = readRows(scan, request);
  if (page.scanned === 0 || page.position.every(isSafe)) return page;
  return { ...page, position: rawPosition(scan, request, page) };
}

function isSafe(value: KeyValue): boolean {
  return !(typeof value === "string" && value.includes("\ufffd"));
}

/** The position of the last row of a page with the bytes of its texts, where these are not valid UTF-8. */
function rawPosition(scan: Scan, request: PageRequest, page: Page): readonly KeyValue[] {
  const { plan, store } = scan;
  const row = pageSql(scan, { ...request, limit: 1, offset: request.offset + page.scanned - 1 });
  const bytes = plan.position.map((alias, at) => `CAST(${quote(alias)} AS BLOB) AS b${at}`).join(", ");
  const found = store.rows(`SELECT ${bytes} FROM (${row.text})`).get(...row.params);
  return page.position.map((value, at) => {
    const raw = found?.[`b${at}`];
    return isSafe(value) || !(raw instanceof Uint8Array) || isUtf8(raw) ? value : new RawText(raw);
  });
}

function readRows(scan: Scan, request: PageRequest): Page {
  const { exactPages } = scan;
  if (exactPages.left === 0) {
    const page = fillPage(scan, request, false);
    if (page !== undefined) return page;
    exactPages.left = EXACT_PAGES;
  }
  exactPages.left--;
  return fillPage(scan, request, true)!;
}

/** @returns `undefined` when integers turned up that need the exact way of reading. */
function fillPage(scan: Scan, request: PageRequest, exact: boolean): Page | undefined {
  const { store, plan, check, conditions, pick } = scan;
  const sql = pageSql(scan, request);
  const [firstPosition, ...otherPositions] = plan.position as readonly [string, ...string[]];
  const records: P2PRecord[] = [];
  const keyless: number[] = [];
  let bytes = 0;
  let scanned = 0;
  let sidecars = 0;
  let cut = false;
  let enough = false;
  let valid = plan.soundValues;
  const { distinctIds } = plan;
  let distinct = distinctIds !== undefined;
  let position: SqlValue = null;
  let others: SqlValue[] = [];
  const withSidecar = scan.relation.table.own && plan !== scan.plainPlan;
  const statement = store.rows(sql.text, exact);
  if (request.atOnce && scan.drawn !== undefined && !scan.drawn.has(statement)) {
    scan.drawn.add(statement);
    drawForNothing(plan, statement, sql.params, exact);
  }
  const rows = request.atOnce ? statement.all(...sql.params) : statement.iterate(...sql.params);
  for (const row of rows as Iterable<Row>) {
    const rowBytes = plan.measure(row, exact);
    if (rowBytes === INEXACT) return undefined;
    if (bytes + rowBytes > request.budget && !(scanned === 0 && request.alone)) {
      cut = true;
      break;
    }
    bytes += rowBytes;
    position = row[firstPosition] as SqlValue;
    if (otherPositions.length > 0) others = otherPositions.map((alias) => row[alias] as SqlValue);
    if (withSidecar && row[SIDECAR] !== null) sidecars++;
    const checked = check === "all" || (check === "sidecar" && row[SIDECAR] !== null);
    const record = plan.record(row, exact);
    if (record === undefined) keyless.push(scanned);
    else if (!checked || matches(conditions, record)) {
      if (valid && !isSoundId(record.id)) valid = false;
      if (distinct && !isDistinctId(record.id, distinctIds!)) distinct = false;
      records.push(pick === undefined ? record : pickFields(record, pick));
    }
    scanned++;
    if (records.length + keyless.length >= request.take) {
      enough = true;
      break;
    }
  }
  return {
    records,
    failures: keyless.map((index) => keyMissing(scan, request, index)),
    valid,
    distinct,
    bytes,
    scanned,
    sidecars,
    ended: !cut && !enough && scanned < request.limit,
    cut,
    position: [position, ...others],
  };
}

/** Rows that are drawn for nothing from a new statement at most, and about how many bytes: of large rows it takes no few hundred to fill the memory. */
const DRAWN_ROWS = 400;
const DRAWN_BYTES = 1024 * 1024;

/**
 * Draws some rows of a new statement and drops them. The driver makes the rows of a statement by an object literal, and V8 decides
 * by the first few hundred objects of a literal where it puts all that follow (pretenuring). Those of the first pages are kept as
 * long as the first writes take; going by them alone it would put the rows of the whole table where only a full
 * collection finds them, and reading would take a quarter longer.
 */
function drawForNothing(plan: RowPlan, statement: RowStatement, params: readonly SqlValue[], exact: boolean): void {
  let [rows, bytes] = [0, 0];
  for (const row of statement.iterate(...params)) {
    bytes += plan.measure(row as Row, exact);
    if (++rows === DRAWN_ROWS || bytes > DRAWN_BYTES) break;
  }
}

/** A row whose key is NULL names no record. */
function keyMissing(scan: Scan, request: PageRequest, index: number): ReadFailure {
  const { table } = scan.relation;
  const rowid = table.rowid === undefined ? undefined : rowidAt(scan, request, index);
  const id = rowid === undefined ? "a row without a key" : `rowid ${rowid}`;
  const columns = table.key.columns.map(({ column }) => `"${column.name}"`).join(", ");
  const error = new P2PError(
    "INVALID_RECORD",
    `${scan.store.endpoint.label}: ${id} of "${table.name}" is NULL in its key (${columns}), so it names no record; ` +
      "give it a value, or name another key by the option key",
  );
  return { id, error };
}

/** Whether any row from behind one position up to another has a sidecar. For tables of ours. */
export function hasSidecarsBetween(
  { store, relation, order }: Scan,
  after: readonly KeyValue[] | undefined,
  upTo: readonly KeyValue[],
): boolean {
  const range = allOf([after && rowsAfter(order, after), rowsUpTo(order, upTo)])!;
  const sidecar = quote(SIDECAR);
  // Said twice: for the index's expression, and for its condition.
  const condition = `(${sidecar} IS NOT NULL) = 1 AND ${sidecar} IS NOT NULL AND ${range.text}`;
  const sql = `SELECT 1 FROM ${relation.from.text} WHERE ${condition} LIMIT 1`;
  return store.values(sql).get(...range.params) !== undefined;
}

/** The order's values of a row of a page that was just read. For tables that are read by rowid. */
export function rowidAt(scan: Scan, request: PageRequest, index: number): SqlValue | undefined {
  const offset = request.offset + index;
  const sql = pageSql(scan, { ...request, limit: 1, offset }, scan.order.at(-1)!.text);
  return scan.store.values(sql.text, true).get(...sql.params);
}

/** Whether an id of the type that the plan vouches for has a text of its own. Bytes that are no UTF-8 become U+FFFD. */
function isDistinctId(id: P2PId, type: "string" | "number"): boolean {
  if (type === "number") return Number.isSafeInteger(id);
  return typeof id === "string" && isNoBytesKey(id) && !id.includes("\ufffd");
}

/** Whether a key of SQLite, which is not NULL, can be a record's id. */
function isSoundId(id: P2PId): boolean {
  if (typeof id === "string") return id !== "";
  if (typeof id === "number") return Number.isFinite(id);
  return !(id instanceof Uint8Array) || id.length > 0;
}
