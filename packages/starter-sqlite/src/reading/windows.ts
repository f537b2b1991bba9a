/** Windowed scans: bounds on how long one statement blocks the event loop. */
import { allOf, type KeyValue, whereClause } from "../client/sql.ts";
import { isAnchor } from "../query/cursor.ts";
import { orderClause, rowsAfter, rowsUpTo } from "../query/keyset.ts";
import { pageSql, type Scan } from "./scan.ts";

/** Rows that one statement may look at in search of matching ones. */
const WINDOW = 10_000;

/** The part of the table that the next page is looked for in. */
interface Window {
  readonly upTo: readonly KeyValue[] | undefined;
  readonly notIndexed: boolean;
  /** Whether it is all that is left. */
  readonly whole: boolean;
}

/**
 * Cuts a filtered read into windows of so many rows. SQLite works in the process's own thread, and a condition that
 * no index serves could otherwise hold it up while the whole table is searched for one more match. Where an index
 * leads straight to the matches, all is one window.
 */
export class Windows {
  readonly #scan: Scan;
  #mode: "undecided" | "whole" | "try" | "tried" | "cut";
  #end: readonly KeyValue[] | undefined;
  #hasEnd = false;

  constructor(scan: Scan) {
    this.#scan = scan;
    this.#mode = scan.condition === undefined || scan.relation.table.type !== "table" ? "whole" : "undecided";
  }

  /** Forgets the window: rows have been moved. */
  restart(): void {
    this.#hasEnd = false;
  }

  /** Where to look for what comes after a position. */
  next(after: readonly KeyValue[] | undefined, upTo: readonly KeyValue[] | undefined): Window {
    if (this.#mode === "undecided") this.#mode = this.#choose(after, upTo);
    else if (this.#mode === "try") this.#mode = "tried";
    // An index was used, and its matches sorted, for the first page. There are more, so sorting them again for each
    // page would cost the square of their number.
    else if (this.#mode === "tried") this.#mode = "cut";
    if (this.#mode !== "cut") return { upTo, notIndexed: false, whole: true };
    if (!this.#hasEnd) {
      this.#end = this.#findEnd(after, upTo);
      this.#hasEnd = true;
    }
    return { upTo: this.#end ?? upTo, notIndexed: true, whole: false };
  }

  /** Whether nothing comes after the window. */
  get isLast(): boolean {
    return this.#mode !== "cut" || this.#end === undefined;
  }

  /** Goes on to the next window, and tells where it starts. */
  leave(): readonly KeyValue[] | undefined {
    this.#hasEnd = false;
    return this.#end;
  }

  #choose(after: readonly KeyValue[] | undefined, upTo: readonly KeyValue[] | undefined): "whole" | "try" | "cut" {
    const details = queryPlan(this.#scan, after, upTo);
    if (!details.some((detail) => /USING (COVERING )?INDEX/.test(detail))) return "cut";
    return details.some((detail) => detail.includes("TEMP B-TREE")) ? "try" : "whole";
  }

  #findEnd(
    after: readonly KeyValue[] | undefined,
    upTo: readonly KeyValue[] | undefined,
  ): readonly KeyValue[] | undefined {
    const { store, relation, order } = this.#scan;
    const range = allOf([after && rowsAfter(order, after), upTo && rowsUpTo(order, upTo)]);
    const sql =
      `SELECT ${order.map(({ text }, at) => `${text} AS k${at}`).join(", ")} FROM ${relation.from.text} NOT INDEXED` +
      `${whereClause(range)}${orderClause(order)} LIMIT 1 OFFSET ${WINDOW - 1}`;
    const row = store.rows(sql, true).get(...(range?.params ?? []));
    const end = row && order.map((_, at) => row[`k${at}`]!);
    // Behind one that is not valid UTF-8 the next window might begin where this one does, so that it is the last.
    return end?.every(isAnchor) ? end : undefined;
  }
}

/** How SQLite would go about a page. */
export function queryPlan(
  scan: Scan,
  after: readonly KeyValue[] | undefined,
  upTo: readonly KeyValue[] | undefined,
): string[] {
  const request = {
    after,
    upTo,
    bound: undefined,
    limit: 1,
    take: 1,
    budget: 0,
    alone: true,
    offset: 0,
    notIndexed: false,
    atOnce: false,
  };
  const sql = pageSql(scan, request);
  const rows = scan.store.rows(`EXPLAIN QUERY PLAN ${sql.text}`).all(...sql.params);
  return rows.map(({ detail }) => String(detail));
}
