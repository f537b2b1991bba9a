/** Keyset pagination: the order of the key's index, and the rows after a position in it. */
import type { Cell } from "../client/session.ts";
import { quote } from "../client/sql.ts";
import type { Table } from "../client/table.ts";
import { type Fragment, typeText } from "./params.ts";

/** One part of the order in which rows are read. */
export interface Term {
  /** An expression, in its own collation. */
  readonly text: string;
  /** The type that a cell of it is cast to. */
  readonly type: string;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** The order in which a table is read when the query names none: that of the index of its key, so that the index gives it. */
export function storageOrder(table: Table): Term[] {
  return table.key.columns.map(({ column, descending, nullsFirst }) => ({
    text: quote(column.name),
    type: typeText(column.type),
    descending,
    nullsFirst,
  }));
}

/** `ORDER BY …` */
export function orderClause(terms: readonly Pick<Term, "text" | "descending" | "nullsFirst">[]): string {
  const parts = terms.map(({ text, descending, nullsFirst }) => {
    const direction = descending ? " DESC" : "";
    // What the server does by itself is left out: an index is known by it all the same.
    return `${text}${direction}${nullsFirst === descending ? "" : nullsFirst ? " NULLS FIRST" : " NULLS LAST"}`;
  });
  return ` ORDER BY ${parts.join(", ")}`;
}

/** Finds the rows after the one with these cells, of which none is NULL. */
export function rowsAfter(terms: readonly Term[], cells: readonly Cell[]): Fragment {
  return compareRows(terms, cells, false);
}

/** Finds the rows up to the one with these cells, and that one. */
export function rowsUpTo(terms: readonly Term[], cells: readonly Cell[]): Fragment {
  const turned = terms.map((term) => ({ ...term, descending: !term.descending }));
  return compareRows(turned, cells, true);
}

function compareRows(terms: readonly Term[], cells: readonly Cell[], inclusive: boolean): Fragment {
  const [first] = terms as readonly [Term, ...Term[]];
  return (params) => {
    const marks = terms.map(({ type }, at) => params.add(cells[at]!, type));
    if (terms.length === 1) return `${first.text} ${signOf(first, inclusive)} ${marks[0]}`;
    // A row value is found by one search in an index.
    if (terms.every(({ descending }) => descending === first.descending)) {
      return `(${terms.map(({ text }) => text).join(", ")}) ${signOf(first, inclusive)} (${marks.join(", ")})`;
    }
    // The bound of the first column alone is what the index is searched for.
    return `${first.text} ${signOf(first, true)} ${marks[0]} AND ${compareTerms(terms, marks, inclusive)}`;
  };
}

/** `a > $1 OR (a = $1 AND (b < $2 OR …))`, where directions differ. */
function compareTerms(terms: readonly Term[], marks: readonly string[], inclusive: boolean): string {
  const [term, ...rest] = terms as readonly [Term, ...Term[]];
  const [mark, ...others] = marks as readonly [string, ...string[]];
  if (rest.length === 0) return `${term.text} ${signOf(term, inclusive)} ${mark}`;
  const next = compareTerms(rest, others, inclusive);
  return `(${term.text} ${signOf(term, false)} ${mark} OR (${term.text} = ${mark} AND ${next}))`;
}

function signOf({ descending }: Term, inclusive: boolean): string {
  return `${descending ? "<" : ">"}${inclusive ? "=" : ""}`;
}
