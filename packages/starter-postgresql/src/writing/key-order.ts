/** The order in which rows are written: one that all writers of this starter share. */
import type { Table } from "../client/table.ts";

const INTEGERS: ReadonlySet<string> = new Set(["int2", "int4", "int8"]);

/** Compares the texts of keys. It is not the server's order, only near to it. */
export function compareKeys({ key }: Table): (one: string, other: string) => number {
  const isInteger = key.columns.length === 1 && INTEGERS.has(key.columns[0]!.column.type.name);
  return isInteger ? byLength : byText;
}

function byText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function byLength(one: string, other: string): number {
  return one.length - other.length || byText(one, other);
}
