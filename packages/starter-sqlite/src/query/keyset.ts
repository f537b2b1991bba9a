/** Keyset pagination: the rows after a position, by the columns of an order. */
import { bound, type KeyValue, mark, type Sql } from "../client/sql.ts";

/** One part of the order in which rows are read. */
export interface Term {
  /** An expression, with its collation. */
  readonly text: string;
  readonly descending: boolean;
  /** Whether it may be NULL, which SQLite puts before everything else. */
  readonly nullable: boolean;
}

/** `ORDER BY …` */
export function orderClause(terms: readonly Term[]): string {
  return ` ORDER BY ${terms.map(({ text, descending }) => (descending ? `${text} DESC` : text)).join(", ")}`;
}

/** Finds the rows after the one with these values. */
export function rowsAfter(terms: readonly Term[], values: readonly KeyValue[]): Sql {
  return compareRows(terms, values, false);
}

/** Finds the rows up to the one with these values, and that one. */
export function rowsUpTo(terms: readonly Term[], values: readonly KeyValue[]): Sql {
  const turned = terms.map((term) => ({ ...term, descending: !term.descending }));
  return compareRows(turned, values, true);
}

function compareRows(terms: readonly Term[], values: readonly KeyValue[], inclusive: boolean): Sql {
  const [first] = terms as readonly [Term, ...Term[]];
  const uniform = terms.every((term) => !term.nullable && term.descending === first.descending);
  if (uniform) {
    // A row value, which SQLite answers by one search in the index.
    const sign = `${first.descending ? "<" : ">"}${inclusive ? "=" : ""}`;
    const params = values.map(bound);
    if (terms.length === 1) return { text: `${first.text} ${sign} ${mark(values[0]!)}`, params };
    const marks = values.map(mark).join(", ");
    return { text: `(${terms.map(({ text }) => text).join(", ")}) ${sign} (${marks})`, params };
  }
  return compareTerms(terms, values, inclusive);
}

/** `a > ? OR (a = ? AND (b < ? OR …))`, where directions differ or NULL may come. */
function compareTerms(terms: readonly Term[], values: readonly KeyValue[], inclusive: boolean): Sql {
  const [term, ...rest] = terms as readonly [Term, ...Term[]];
  const [value, ...others] = values as readonly [KeyValue, ...KeyValue[]];
  const beyond = rowsBeyond(term, value);
  const tie: Sql =
    value === null
      ? { text: `${term.text} IS NULL`, params: [] }
      : { text: `${term.text} = ${mark(value)}`, params: [bound(value)] };
  if (rest.length === 0) {
    const options = inclusive ? [beyond, tie] : [beyond];
    return {
      text: `(${options.map(({ text }) => text).join(" OR ")})`,
      params: options.flatMap(({ params }) => params),
    };
  }
  const next = compareTerms(rest, others, inclusive);
  return {
    text: `(${beyond.text} OR (${tie.text} AND ${next.text}))`,
    params: [...beyond.params, ...tie.params, ...next.params],
  };
}

function rowsBeyond({ text, descending, nullable }: Term, value: KeyValue): Sql {
  if (value === null) return { text: descending ? "FALSE" : `${text} IS NOT NULL`, params: [] };
  const params = [bound(value)];
  if (!descending) return { text: `${text} > ${mark(value)}`, params };
  const before = `${text} < ${mark(value)}`;
  return { text: nullable ? `(${before} OR ${text} IS NULL)` : before, params };
}
