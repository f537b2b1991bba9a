/** What SQLite holds in a cell, as the driver gives and takes it. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** Text that is not valid UTF-8, as the bytes that it is: as a string it would not lead back to its row. */
export class RawText {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** A value by which rows are ordered. */
export type KeyValue = SqlValue | RawText;

/** What stands in SQL for a value by which rows are ordered. The plus keeps a column from being compared as text. */
export function mark(value: KeyValue): string {
  return value instanceof RawText ? "+CAST(? AS TEXT)" : "?";
}

/** What is bound for it. */
export function bound(value: KeyValue): SqlValue {
  return value instanceof RawText ? value.bytes : value;
}

/** A piece of SQL and the values for its question marks, in order. */
export interface Sql {
  readonly text: string;
  readonly params: readonly SqlValue[];
}

/** A name as an identifier, whatever is in it. A name with NUL cannot be said in SQL at all. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as a literal. Only for names that go where no parameter may stand. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** SQLite compares names without regard to the case of ASCII letters, and of no others. */
export function foldName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** All pieces joined by AND; `undefined` when there is none. */
export function allOf(pieces: readonly (Sql | undefined)[]): Sql | undefined {
  const given = pieces.filter((piece) => piece !== undefined);
  if (given.length === 0) return undefined;
  return { text: given.map(({ text }) => text).join(" AND "), params: given.flatMap(({ params }) => params) };
}

/** `WHERE …`, or nothing. */
export function whereClause(condition: Sql | undefined): string {
  return condition === undefined ? "" : ` WHERE ${condition.text}`;
}

/** Rows of question marks, for a VALUES. */
export function tuples(rows: readonly (readonly SqlValue[])[]): string {
  const tuple = `(${rows[0]!.map(() => "?").join(", ")})`;
  return rows.map(() => tuple).join(", ");
}

/** As many as the next {@link powerOfTwo}. */
export function padded<T>(rows: readonly T[], filler: T): readonly T[] {
  const size = powerOfTwo(2 * rows.length - 1);
  return [...rows, ...Array.from({ length: size - rows.length }, () => filler)];
}

/** The largest power of two up to a number; 1 at least. Statements for many rows come in these sizes, so that few are prepared. */
export function powerOfTwo(most: number): number {
  return most < 2 ? 1 : 2 ** Math.floor(Math.log2(most));
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Whether SQLite can hold it as an integer. */
export function isInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX;
}
