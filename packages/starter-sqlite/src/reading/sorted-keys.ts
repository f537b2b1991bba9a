import { allOf, type KeyValue, quote, type SqlValue, whereClause } from "../client/sql.ts";
import { rowidOf } from "../client/table.ts";
import { orderClause, rowsAfter, type Term } from "../query/keyset.ts";
import type { Relation } from "../query/relation.ts";
import type { Scan } from "./scan.ts";

let made = 0;

/** The keys of all rows of a scan in its order, in a temporary table that SQLite keeps on disk when it grows. */
export class SortedKeys {
  /** The rows in the order of the keys. */
  readonly relation: Relation;
  /** The order by rank, from which pages are read. */
  readonly order: readonly Term[];
  /** The expression of a row's rank. */
  readonly rank: string;
  readonly #name: string;
  readonly #scan: Scan;

  constructor(scan: Scan, after: readonly KeyValue[] | undefined) {
    const { store, relation, order, condition } = scan;
    const { table, from } = relation;
    const columns =
      table.rowid === undefined
        ? table.key.columns.map(({ column, collation }) => ({
            text: quote(column.name),
            match: `${quote(table.name)}.${quote(column.name)} COLLATE ${quote(collation)}`,
          }))
        : [{ text: rowidOf(table), match: rowidOf(table) }];
    this.#scan = scan;
    this.#name = `temp.${quote(`p2p_sorted_${++made}`)}`;
    this.rank = '"p2p:sorted".rowid';
    this.order = [{ text: this.rank, descending: false, nullable: false }];
    const hint = table.strangeIndexes ? " NOT INDEXED" : "";
    const where = allOf([after && rowsAfter(order, after), condition]);
    store.db
      .prepare<SqlValue[]>(
        `CREATE TABLE ${this.#name} AS SELECT ${columns.map(({ text }, at) => `${text} AS "p2p:${at}"`).join(", ")} ` +
          `FROM ${from.text}${hint}${whereClause(where)}${orderClause(order)}`,
      )
      .run(...from.params, ...(where?.params ?? []));
    const matching = columns.map(({ match }, at) => `${match} = "p2p:sorted"."p2p:${at}"`).join(" AND ");
    // CROSS JOIN: SQLite must go through the keys, and look up each row.
    const text = `${this.#name} AS "p2p:sorted" CROSS JOIN ${from.text}${hint} ON ${matching}`;
    // The hint is said already.
    this.relation = { table: { ...table, strangeIndexes: false }, from: { text, params: from.params } };
  }

  /** Removes the table. What goes wrong here has gone wrong before, or goes with the connection. */
  drop(): void {
    const { db } = this.#scan.store;
    if (db.open) db.exec(`DROP TABLE IF EXISTS ${this.#name}`);
  }
}
