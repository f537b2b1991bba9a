/** SQL composition: fragments that number their parameters as they are put together. */
import type { Cell } from "../client/session.ts";
import { quote } from "../client/sql.ts";
import type { ColumnType } from "../client/table.ts";
import { baseOf } from "../values/decode.ts";

/** The parameters of one statement, as they come up in its text. */
export class Params {
  readonly list: Cell[];

  /** @param first those that the text of somebody else numbers from `$1`. */
  constructor(first: readonly Cell[] = []) {
    this.list = [...first];
  }

  /** Adds one, as a value of a type, and gives what stands for it. */
  add(cell: Cell, type: string): string {
    this.list.push(cell);
    return `$${this.list.length}::${type}`;
  }
}

/** A piece of SQL, written into a statement with its parameters. */
export type Fragment = (params: Params) => string;

/** A condition that holds where all of these do; `undefined` where there is none. */
export function allOf(fragments: readonly (Fragment | undefined)[]): Fragment | undefined {
  const given = fragments.filter((fragment) => fragment !== undefined);
  if (given.length === 0) return undefined;
  return (params) => given.map((fragment) => `(${fragment(params)})`).join(" AND ");
}

export function whereClause(condition: Fragment | undefined, params: Params): string {
  return condition === undefined ? "" : ` WHERE ${condition(params)}`;
}

/** The name of a type for a cast; that of a domain's base, whose rules no parameter need meet. */
export function typeText(type: ColumnType): string {
  const { schema, name } = baseOf(type);
  return `${quote(schema)}.${quote(name)}`;
}

/** An array of one dimension as a literal, for a parameter. */
export function listLiteral(cells: readonly Cell[]): string {
  return `{${cells.map((cell) => (cell === null ? "NULL" : `"${cell.replace(/["\\]/g, "\\$&")}"`)).join(",")}}`;
}
