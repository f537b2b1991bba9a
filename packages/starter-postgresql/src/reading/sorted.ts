/**
 * Reading in an order that the query names: a merge of the rows that the server sorts as the core sorts their values, and of the
 * others (values in sidecars, JSON, decimals of many digits), which are sorted here by what they are sorted by alone.
 */
import {
  BatchBuilder,
  estimateBytes,
  type JsonValue,
  P2PError,
  type P2PRecord,
  type P2PValue,
  type ParsedQuery,
  type ReadFailure,
  type ReadOptions,
  type RecordBatch,
  recordAt,
  sortPosition,
  storeCursor,
  valueType,
  Yielder,
} from "@omni/p2p-core/starter";
import type { Cell, Row } from "../client/session.ts";
import { quote } from "../client/sql.ts";
import type { PostgresqlStore } from "../client/store.ts";
import { kindOf } from "../query/column-kind.ts";
import { ownPosition } from "../query/cursor.ts";
import { IdCandidates } from "../query/id-candidates.ts";
import { orderClause, rowsAfter, rowsUpTo, storageOrder } from "../query/keyset.ts";
import { compareBySlots, type WantedOrder, wantedOrder } from "../query/order.ts";
import { allOf, type Fragment, whereClause } from "../query/params.ts";
import { parsePartition } from "../query/partition.ts";
import type { Relation } from "../query/relation.ts";
import { cellCondition } from "../query/where-cell.ts";
import { STORE } from "../types.ts";
import { PageSize } from "./pages.ts";
import { isFailure, Scan, sizeOf } from "./scan.ts";
import { cursorPages } from "./server-cursor.ts";
import { hasKey, keylessRows, notUnique } from "./unenforced-keys.ts";

/** Bytes in a batch where the reader does not say. */
const BATCH_BYTES = 16 * 1024 * 1024;
/** What rows that are sorted here may be sorted by, in bytes altogether. */
const MOST_SORTED_BYTES = 256 * 1024 * 1024;
/** Bytes of an entry beside its values. */
const BYTES_BESIDE = 100;
/** Rows that were sorted here and are fetched at a time. */
const FETCHED = 100;

/** A row in its place. */
interface Placed {
  readonly found: P2PRecord | ReadFailure;
  /** What a record was made of. */
  readonly row?: Row;
  readonly bytes: number;
}

export async function* readSorted(
  store: PostgresqlStore,
  relation: Relation,
  query: ParsedQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const { signal } = options;
  const order = wantedOrder(relation.table, query, store.version);
  const slots = order.slots.map(({ field, direction }) => ({ field, direction }));
  const after = options.after === undefined ? undefined : recordAt(STORE, slots, ownPosition(options.after));
  if (query.limit === 0) return;
  const sorted = new SortedRead(store, relation, query, order, after, signal);
  const builder = new BatchBuilder<P2PRecord>(options, BATCH_BYTES);
  const yielder = new Yielder();
  let skip = after === undefined ? query.offset : 0;
  let left = query.limit;
  let cursor: JsonValue = null;
  let last: P2PRecord | undefined;
  const take = (): RecordBatch => {
    if (last !== undefined) cursor = storeCursor(STORE, sortPosition(slots, last));
    const { items: records, ...rest } = builder.take()!;
    return { records, cursor, distinct: sorted.scan.plan.distinctIds, ...rest };
  };
  for await (const { found, row, bytes } of sorted.rows(builder.limitBytes)) {
    if (!builder.hasRoomFor(bytes)) {
      yield take();
      await yielder.yieldIfDue();
      signal.throwIfAborted();
    }
    const failed = isFailure(found);
    if (!failed) last = found;
    if (skip > 0) {
      skip--;
      continue;
    }
    if (failed) builder.fail(found, bytes);
    else builder.add(sorted.scan.picked(found), bytes, sorted.scan.isValid(found, row!));
    if (--left <= 0) break;
    if (builder.isFull) {
      yield take();
      await yielder.yieldIfDue();
      signal.throwIfAborted();
    }
  }
  if (!builder.isEmpty) yield take();
}

class SortedRead {
  readonly scan: Scan;
  readonly #store: PostgresqlStore;
  readonly #relation: Relation;
  readonly #query: ParsedQuery;
  readonly #order: WantedOrder;
  readonly #after: P2PRecord | undefined;
  readonly #signal: AbortSignal;
  readonly #isStored: boolean;

  constructor(
    store: PostgresqlStore,
    relation: Relation,
    query: ParsedQuery,
    order: WantedOrder,
    after: P2PRecord | undefined,
    signal: AbortSignal,
  ) {
    this.#store = store;
    this.#relation = relation;
    this.#query = query;
    this.#order = order;
    this.#after = after;
    this.#signal = signal;
    this.#isStored = relation.table.type === "table" || relation.table.type === "partitioned";
    this.scan = new Scan(store, relation, query, { also: order.slots.map(({ field }) => field) });
  }

  async *rows(batchBytes: number): AsyncGenerator<Placed> {
    if (!this.#isStored && this.#after === undefined) {
      for (const found of await keylessRows(this.scan, this.#signal)) yield { found, bytes: 0 };
    }
    const irregular = await this.#irregular(batchBytes);
    if (this.#after === undefined) for (const found of irregular.failures) yield { found, bytes: 0 };
    const others = this.#fetched(irregular.entries);
    let other = await others.next();
    let previous: P2PRecord | undefined;
    for await (const placed of this.#regular(batchBytes)) {
      const { found } = placed;
      if (isFailure(found)) {
        yield placed;
        continue;
      }
      for (; other.done !== true && this.#compare(other.value.at, found) < 0; other = await others.next()) {
        yield other.value;
      }
      if (!this.#isStored) {
        if (previous !== undefined && this.#compare(previous, found) === 0) throw notUnique(this.scan);
        previous = found;
      }
      yield placed;
    }
    for (; other.done !== true; other = await others.next()) yield other.value;
  }

  #compare(a: P2PRecord, b: P2PRecord): number {
    return compareBySlots(this.#order.slots, a, b);
  }

  #isBehind(record: P2PRecord): boolean {
    return this.#after === undefined || this.#compare(record, this.#after) > 0;
  }

  /** What both sorts of rows must meet. */
  #condition(scan: Scan, more: Fragment | undefined): Fragment | undefined {
    const { after, upTo } = parsePartition(this.#relation.table, this.#query.partition);
    const keys = storageOrder(this.#relation.table);
    return allOf([
      this.#isStored ? undefined : hasKey(scan),
      after && rowsAfter(keys, after),
      upTo && rowsUpTo(keys, upTo),
      scan.filter.sql,
      more,
    ]);
  }

  /** The rows that the server sorts. */
  async *#regular(batchBytes: number): AsyncGenerator<Placed> {
    const { regular, terms } = this.#order;
    const { scan } = this;
    const params = this.#relation.params();
    const passed = this.#after && this.#passingOver(this.#after);
    const condition = this.#condition(scan, allOf([regular === undefined ? undefined : () => regular, passed]));
    const where = whereClause(condition, params);
    const most = this.#query.limit + this.#query.offset;
    const isCounted = scan.filter.check === "none" && this.#after === undefined && Number.isFinite(most);
    const text =
      `SELECT ${scan.plan.select.join(", ")} FROM ${this.#relation.from}${where}${orderClause(terms)}` +
      (isCounted ? ` LIMIT ${most}` : "");
    const { bytes, estimatedRows } = this.#relation.table;
    const size = new PageSize({ bytes, estimatedRows }, batchBytes);
    for await (const rows of cursorPages(this.#store, text, params.list, size, this.#signal)) {
      for (const row of rows) {
        const found = scan.find(row);
        if (found === undefined || (isFailure(found) ? this.#after !== undefined : !this.#isBehind(found))) continue;
        yield { found, row, bytes: sizeOf(row) };
      }
    }
  }

  /** Passes over most of the rows before a position, by the first column alone: equal ones are looked at. */
  #passingOver(after: P2PRecord): Fragment | undefined {
    const { first, slots } = this.#order;
    const value: P2PValue | undefined = slots[0]!.field === "id" ? after.id : after[slots[0]!.field];
    if (first === undefined || value === undefined || value === null) return undefined;
    const { column, descending } = first;
    const kind = kindOf(column);
    const type = valueType(value);
    const isLike =
      (kind === "text" && type === "string") ||
      (kind === "integer" && (type === "number" || type === "bigint") && !Number.isNaN(value)) ||
      (kind === "bytes" && type === "bytes") ||
      (kind === "time" && type === "date" && !descending);
    if (!isLike) return undefined;
    const cell = quote(column.name);
    const operator = descending ? "lte" : "gte";
    const { sql } = cellCondition(cell, column, { field: column.field, operator, value }, this.scan.dialect);
    if (sql === undefined) return undefined;
    return descending ? (params) => `(${sql(params)}) OR ${cell} IS NULL` : sql;
  }

  /** What the rows are sorted by which the server does not sort rightly, with their keys. */
  async #irregular(batchBytes: number): Promise<{ readonly entries: Entry[]; readonly failures: ReadFailure[] }> {
    const { regular, slots } = this.#order;
    const entries: Entry[] = [];
    const failures: ReadFailure[] = [];
    if (regular === undefined) return { entries, failures };
    const fields = slots.map(({ field }) => field).filter((field) => field !== "id");
    const scan = new Scan(this.#store, this.#relation, { ...this.#query, fields });
    const params = this.#relation.params();
    const where = whereClause(
      this.#condition(scan, () => `(${regular}) IS NOT TRUE`),
      params,
    );
    const text = `SELECT ${scan.plan.select.join(", ")} FROM ${this.#relation.from}${where}`;
    const size = new PageSize({ bytes: -1, estimatedRows: -1 }, batchBytes);
    const most = this.#query.limit + (this.#after === undefined ? this.#query.offset : 0);
    const byOrder = (a: Entry, b: Entry) => this.#compare(a.at, b.at);
    let bytes = 0;
    for await (const rows of cursorPages(this.#store, text, params.list, size, this.#signal)) {
      for (const row of rows) {
        const found = scan.find(row);
        if (found === undefined) continue;
        if (isFailure(found)) {
          failures.push(found);
          continue;
        }
        if (!this.#isBehind(found)) continue;
        const at = scan.picked(found);
        entries.push({ at, key: scan.plan.keyOf(row) });
        bytes += BYTES_BESIDE + estimateBytes(at);
      }
      if (entries.length > 2 * most + FETCHED) {
        entries.sort(byOrder);
        entries.length = most;
        bytes = entries.reduce((sum, { at }) => sum + BYTES_BESIDE + estimateBytes(at), 0);
      }
      if (bytes > MOST_SORTED_BYTES) throw this.#tooMany();
    }
    entries.sort(byOrder);
    return { entries, failures };
  }

  #tooMany(): P2PError {
    const fields = this.#query.orderBy.map(({ field }) => field).join(", ");
    return new P2PError(
      "UNSUPPORTED_QUERY",
      `${this.#store.label}: too many rows of "${this.#relation.table.name}" have values that the server cannot sort by (orderBy ${fields}): ` +
        `what they are sorted by is more than ${MOST_SORTED_BYTES / 1024 / 1024} MB; sort by another field, or give a limit`,
    );
  }

  /** The rows that were sorted here, as they are now; those that are gone are left out. */
  async *#fetched(entries: readonly Entry[]): AsyncGenerator<Placed & { readonly at: P2PRecord }> {
    const { scan } = this;
    const candidates = new IdCandidates(this.#relation.table);
    for (let from = 0; from < entries.length; from += FETCHED) {
      const part = entries.slice(from, from + FETCHED);
      const keys = part.map(({ key }) => key.map((cell) => ({ cell: cell!, byText: false })));
      const params = this.#relation.params();
      const where = whereClause(this.#condition(scan, candidates.condition(keys)), params);
      const text = `SELECT ${scan.plan.select.join(", ")} FROM ${this.#relation.from}${where}`;
      const { rows } = await this.#store.query("read", this.#signal, text, params.list);
      const byKey = new Map<string, Row>(rows.map((row) => [keyText(scan.plan.keyOf(row)), row]));
      for (const { at, key } of part) {
        const row = byKey.get(keyText(key));
        const found = row && scan.find(row);
        if (row !== undefined && found !== undefined) yield { found, row, bytes: sizeOf(row), at };
      }
    }
  }
}

/** A row that is sorted here: what it is sorted by, and its key. */
interface Entry {
  readonly at: P2PRecord;
  readonly key: readonly Cell[];
}

function keyText(key: readonly Cell[]): string {
  return JSON.stringify(key);
}
