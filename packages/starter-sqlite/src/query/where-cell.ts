import { type P2PValue, type QueryCondition, type QueryOperator, valueType } from "@omni/p2p-core/starter";
import { isInt64, type Sql, type SqlValue } from "../client/sql.ts";
import type { Column } from "../client/table.ts";
import { storeDate } from "../values/own-values.ts";

/** A condition in SQL. When it is not exact it finds all that match, and more; `sql` undefined finds everything. */
export interface Translation {
  readonly sql: Sql | undefined;
  readonly exact: boolean;
}

/** Finds nothing. */
export const NEVER: Sql = { text: "FALSE", params: [] };

/** A condition on the values of one cell. */
export function cellCondition(cell: string, column: Column, { operator, value }: QueryCondition): Translation {
  switch (operator) {
    case "eq":
      return equalCell(cell, column, [value]);
    case "in":
      return equalCell(cell, column, value as readonly P2PValue[]);
    case "ne":
      return negate(equalCell(cell, column, [value]));
    case "exists":
      return { sql: { text: `${cell} IS ${value === true ? "NOT " : ""}NULL`, params: [] }, exact: true };
    case "gt":
    case "gte":
    case "lt":
    case "lte":
    case "prefix":
      return compareCell(cell, column, operator, value);
  }
}

/** The opposite of an equality, which also holds where there is no value. */
export function negate(equality: Translation): Translation {
  if (equality.sql === undefined || !equality.exact) return { sql: undefined, exact: false };
  return { sql: { text: `(${equality.sql.text}) IS NOT TRUE`, params: equality.sql.params }, exact: true };
}

/** `TEXT` that decodes into something else must be looked at by `matches`. */
function hidesText({ kind }: Column): boolean {
  return kind === "date" || kind === "timestamp" || kind === "json";
}

/** The cell such that comparing it with a text converts neither: a numeric column would make 5 of "5". */
function asText(cell: string, column: Column): string {
  return column.affinity === "text" || column.affinity === "none" ? cell : `+${cell}`;
}

/** One side of a comparison, and what it must equal. */
interface Equality {
  readonly side: string;
  readonly value: SqlValue;
  readonly exact: boolean;
}

/** The cell equals one of the values. */
function equalCell(cell: string, column: Column, values: readonly P2PValue[]): Translation {
  const sides = new Map<string, SqlValue[]>();
  let exact = true;
  let orNull = false;
  for (const value of values) {
    if (value === null) {
      orNull = true;
      continue;
    }
    const equality = equals(cell, column, value);
    if (equality === undefined) continue;
    exact &&= equality.exact;
    const list = sides.get(equality.side) ?? [];
    sides.set(equality.side, list);
    list.push(equality.value);
  }
  const texts = [...sides].map(([side, list]) =>
    list.length === 1 ? `${side} = ?` : `${side} IN (${list.map(() => "?").join(", ")})`,
  );
  if (orNull) texts.push(`${cell} IS NULL`);
  if (texts.length === 0) return { sql: NEVER, exact: true };
  return { sql: { text: texts.join(" OR "), params: [...sides.values()].flat() }, exact };
}

/** How one value is found in the cell; `undefined` when it never is. */
function equals(cell: string, column: Column, value: P2PValue): Equality | undefined {
  const type = valueType(value);
  switch (type) {
    case "string":
      return {
        side: `${asText(cell, column)} COLLATE BINARY`,
        value: value as string,
        exact: !hidesText(column),
      };
    case "number":
    case "bigint": {
      if (column.affinity === "text") return undefined;
      if (column.kind === "boolean" && (Number(value) === 0 || Number(value) === 1)) return undefined;
      const number = storedNumber(value as number | bigint);
      return number.near
        ? undefined
        : { side: numberSide(cell, column), value: number.value, exact: column.kind !== "timestamp" };
    }
    case "boolean":
      return column.kind === "boolean" ? { side: cell, value: Number(value), exact: true } : undefined;
    case "date": {
      if (column.kind !== "date" && column.kind !== "timestamp") return undefined;
      return { side: `+${cell}`, value: storeDate(value as Date), exact: column.kind === "timestamp" };
    }
    case "bytes":
      return { side: `${cell} COLLATE BINARY`, value: value as Uint8Array, exact: column.kind !== "timestamp" };
    case "object":
    case "null":
    case "array":
    case "tagged":
      return undefined;
    default:
      return type satisfies never;
  }
}

/** A column without a numeric type may have a collation of another program, which must not be asked about numbers. */
function numberSide(cell: string, { affinity }: Column): string {
  return affinity === "none" ? `${cell} COLLATE BINARY` : cell;
}

const SIGNS = { gt: ">", gte: ">=", lt: "<", lte: "<=" } as const;

/** The cell is of the value's type, and larger or smaller. */
function compareCell(
  cell: string,
  column: Column,
  operator: Exclude<QueryOperator, "eq" | "in" | "ne" | "exists">,
  value: P2PValue,
): Translation {
  if (operator === "prefix") return hasPrefix(cell, column, value as string);
  const upwards = operator === "gt" || operator === "gte";
  switch (valueType(value)) {
    case "string": {
      if (!column.byCodePoint) return anyText(cell);
      const side = `${asText(cell, column)} COLLATE BINARY`;
      // In the order of SQLite all numbers come before all texts, and those before all bytes.
      const bound = upwards ? `${cell} COLLATE BINARY < x''` : `${side} >= ''`;
      const text = `${side} ${SIGNS[operator]} ? AND ${bound}`;
      return { sql: { text, params: [value as string] }, exact: !hidesText(column) };
    }
    case "number":
    case "bigint":
      if (column.affinity === "text") return { sql: NEVER, exact: true };
      return compareNumber(cell, column, operator, value as number | bigint);
    case "boolean": {
      if (column.kind !== "boolean") return { sql: NEVER, exact: true };
      const inclusive = operator === "gte" || operator === "lte";
      const wanted = [0, 1].filter((bit) => {
        const order = bit - Number(value);
        return order === 0 ? inclusive : upwards === order > 0;
      });
      return { sql: { text: `${cell} IN (${wanted.join(", ")})`, params: [] }, exact: true };
    }
    case "date":
      return compareDate(cell, column, operator, value as Date);
    case "bytes": {
      const side = `${cell} COLLATE BINARY`;
      const bound = upwards ? "" : ` AND ${side} >= x''`;
      const text = `${side} ${SIGNS[operator]} ?${bound}`;
      return { sql: { text, params: [value as Uint8Array] }, exact: column.kind !== "timestamp" };
    }
    case "object":
    case "null":
    case "array":
    case "tagged":
      return { sql: NEVER, exact: true };
  }
}

function compareNumber(
  cell: string,
  column: Column,
  operator: "gt" | "gte" | "lt" | "lte",
  value: number | bigint,
): Translation {
  const number = storedNumber(value);
  const upwards = operator === "gt" || operator === "gte";
  // Nothing lies between a bigint that no cell can hold and the nearest number, so that one takes its place.
  const sign =
    number.near === undefined
      ? SIGNS[operator]
      : upwards
        ? number.near === "above"
          ? ">="
          : ">"
        : number.near === "above"
          ? "<"
          : "<=";
  const bound = upwards ? ` AND ${cell} COLLATE BINARY < ''` : "";
  const exact = column.kind !== "boolean" && column.kind !== "timestamp";
  return { sql: { text: `${numberSide(cell, column)} ${sign} ?${bound}`, params: [number.value] }, exact };
}

/** A number as it is bound; `near` says on which side of the true one it lies, when it is not the same. */
function storedNumber(value: number | bigint): { readonly value: number | bigint; readonly near?: "above" | "below" } {
  if (typeof value === "number") return { value: value === 0 ? 0 : value };
  if (isInt64(value)) return { value };
  const near = Number(value);
  if (!Number.isFinite(near)) {
    // Beyond all numbers but infinity.
    return near > 0 ? { value: Number.MAX_VALUE, near: "below" } : { value: -Number.MAX_VALUE, near: "above" };
  }
  if (BigInt(near) === value) return { value: near };
  return { value: near, near: BigInt(near) > value ? "above" : "below" };
}

/** Dates are stored in forms that sort by time; others' texts among them are left to `matches`. */
function compareDate(cell: string, column: Column, operator: "gt" | "gte" | "lt" | "lte", date: Date): Translation {
  if (column.kind !== "date" && column.kind !== "timestamp") return { sql: NEVER, exact: true };
  const stored = storeDate(date);
  if (column.kind === "date" && typeof stored !== "string") return { sql: undefined, exact: false };
  return { sql: { text: `${cell} ${SIGNS[operator]} ?`, params: [stored] }, exact: false };
}

function hasPrefix(cell: string, column: Column, prefix: string): Translation {
  const exact = !hidesText(column);
  if (!column.byCodePoint) return anyText(cell);
  if (prefix === "") return { sql: { text: `typeof(${cell}) = 'text'`, params: [] }, exact };
  const side = `${asText(cell, column)} COLLATE BINARY`;
  const end = afterPrefix(prefix);
  return end === undefined
    ? { sql: { text: `${side} >= ? AND ${cell} COLLATE BINARY < x''`, params: [prefix] }, exact }
    : { sql: { text: `${side} >= ? AND ${side} < ?`, params: [prefix, end] }, exact };
}

/** Every text, for `matches` to look at. */
function anyText(cell: string): Translation {
  return { sql: { text: `typeof(${cell}) = 'text'`, params: [] }, exact: false };
}

/** The least text that is larger than all texts with this prefix. */
function afterPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0)!);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last === 0x10ffff) continue;
    points.push(last === 0xd7ff ? 0xe000 : last + 1);
    return String.fromCodePoint(...points);
  }
  return undefined;
}
