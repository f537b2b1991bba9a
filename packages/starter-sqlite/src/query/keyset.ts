import type { Sql, SqlValue } from "../client/sql.ts";

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
export function rowsAfter(terms: readonly Term[], values: readonly SqlValue[]): Sql {
  return compareRows(terms, values, false);
}

/** Finds the rows up to the one with these values, and that one. */
export function rowsUpTo(terms: readonly Term[], values: readonly SqlValue[]): Sql {
  const turned = terms.map((term) => ({ ...term, descending: !term.descending }));
  return compareRows(turned, values, true);
}

function compareRows(terms: readonly Term[], values: readonly SqlValue[], inclusive: boolean): Sql {
  const [first] = terms as readonly [Term, ...Term[]];
  const uniform = terms.every((term) => !term.nullable && term.descending === first.descending);
  if (uniform) {
    // A row value, which SQLite answers by one search in the index.
    const sign = `${first.descending ? "<" : ">"}${inclusive ? "=" : ""}`;
    if (terms.length === 1) return { text: `${first.text} ${sign} ?`, params: values };
    const marks = terms.map(() => "?").join(", ");
    return { text: `(${terms.map(({ text }) => text).join(", ")}) ${sign} (${marks})`, params: values };
  }
  return compareTerms(terms, values, inclusive);
}

/** `a > ? OR (a = ? AND (b < ? OR …))`, where directions differ or NULL may come. */
function compareTerms(terms: readonly Term[], values: readonly SqlValue[], inclusive: boolean): Sql {
  const [term, ...rest] = terms as readonly [Term, ...Term[]];
  const [value, ...others] = values as readonly [SqlValue, ...SqlValue[]];
  const beyond = rowsBeyond(term, value);
  const tie: Sql =
    value === null ? { text: `${term.text} IS NULL`, params: [] } : { text: `${term.text} = ?`, params: [value] };
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

function rowsBeyond({ text, descending, nullable }: Term, value: SqlValue): Sql {
  if (value === null) return { text: descending ? "FALSE" : `${text} IS NOT NULL`, params: [] };
  if (!descending) return { text: `${text} > ?`, params: [value] };
  return { text: nullable ? `(${text} < ? OR ${text} IS NULL)` : `${text} < ?`, params: [value] };
}
