/** Predicates: conditions on the values of one column, said in SQL. */
import { type P2PValue, type QueryCondition, valueType } from "@omni/p2p-core/starter";
import type { Column } from "../client/table.ts";
import { hexOf } from "../values/encode.ts";
import { serverTextOfDate } from "../values/timestamps.ts";
import { type ColumnKind, isPlainText, kindOf, textInOrder, typeNameOf } from "./column-kind.ts";
import { type Fragment, listLiteral, typeText } from "./params.ts";

/** A condition in SQL. One that is not exact finds all that match, and more; `sql` undefined finds everything. */
export interface Translation {
  readonly sql: Fragment | undefined;
  readonly exact: boolean;
}

/** Finds nothing. */
export const NEVER: Translation = { sql: () => "FALSE", exact: true };
/** Leaves it all to `matches`. */
export const UNKNOWN: Translation = { sql: undefined, exact: false };

const TEXT = "pg_catalog.text";
/** Bounds of `int8`. */
const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;

/** The version from which on `numeric` has infinities. */
const NUMERIC_INFINITY = 140_000;

/** How a server and an endpoint have values. */
export interface Dialect {
  readonly version: number;
  /** Whether what would be tagged comes as text. */
  readonly plain: boolean;
}

/** A condition on the values of one cell. */
export function cellCondition(
  cell: string,
  column: Column,
  { operator, value }: QueryCondition,
  dialect: Dialect,
): Translation {
  switch (operator) {
    case "eq":
      return equalCell(cell, column, [value], dialect);
    case "in":
      return equalCell(cell, column, value as readonly P2PValue[], dialect);
    case "ne":
      return negate(equalCell(cell, column, [value], dialect));
    case "exists":
      return existsCell(cell, column, value === true, dialect);
    case "prefix":
      return hasPrefix(cell, column, value as string, dialect);
    case "gt":
    case "gte":
    case "lt":
    case "lte":
      return compareCell(cell, column, operator, value, dialect);
  }
}

/** The opposite of an equality, which also holds where there is no value. */
export function negate({ sql, exact }: Translation): Translation {
  if (sql === undefined || !exact) return UNKNOWN;
  return { sql: (params) => `(${sql(params)}) IS NOT TRUE`, exact: true };
}

/** The null of JSON is a tag, and no value only where tags come as text. */
function hidesNull(column: Column, { plain }: Dialect): boolean {
  return plain && kindOf(column) === "json";
}

function existsCell(cell: string, column: Column, wanted: boolean, dialect: Dialect): Translation {
  const exact = !hidesNull(column, dialect);
  if (!wanted && !exact) return UNKNOWN;
  return { sql: () => `${cell} IS ${wanted ? "NOT " : ""}NULL`, exact };
}

/** Values of one kind that a cell is asked for, in the server's text form. */
interface Asked {
  readonly cells: string[];
  readonly type: string;
  exact: boolean;
}

/** The cell equals one of the values. */
function equalCell(cell: string, column: Column, values: readonly P2PValue[], dialect: Dialect): Translation {
  const byside = new Map<string, Asked>();
  let orNull = false;
  for (const value of values) {
    if (value === null) {
      if (hidesNull(column, dialect)) return UNKNOWN;
      orNull = true;
      continue;
    }
    const equality = equals(cell, column, value, dialect);
    if (equality === undefined) continue;
    if (equality === "unknown") return UNKNOWN;
    const asked = byside.get(equality.side) ?? { cells: [], type: equality.type, exact: true };
    byside.set(equality.side, asked);
    asked.cells.push(equality.cell);
    asked.exact &&= equality.exact;
  }
  if (byside.size === 0 && !orNull) return NEVER;
  return {
    sql: (params) => {
      const parts = [...byside].map(([side, { cells, type }]) =>
        cells.length === 1
          ? `${side} = ${params.add(cells[0]!, type)}`
          : `${side} = ANY(${params.add(listLiteral(cells), `${type}[]`)})`,
      );
      if (orNull) parts.push(`${cell} IS NULL`);
      return parts.join(" OR ");
    },
    exact: [...byside.values()].every(({ exact }) => exact),
  };
}

interface Equality {
  readonly side: string;
  readonly cell: string;
  readonly type: string;
  readonly exact: boolean;
}

/** How one value is found in the cell; `undefined` when it never is. */
function equals(cell: string, column: Column, value: P2PValue, dialect: Dialect): Equality | "unknown" | undefined {
  const kind = kindOf(column);
  if (kind === "json") return "unknown";
  const type = valueType(value);
  const typed = (text: string, exact: boolean, as = typeText(column.type)): Equality => {
    return { side: cell, cell: text, type: as, exact };
  };
  switch (type) {
    case "string":
      return kind === "text" ? equalText(cell, column, value as string) : textOfTag(kind, dialect);
    case "number":
    case "bigint":
      return equalNumber(column, kind, value as number | bigint, typed, dialect);
    case "boolean":
      return kind === "boolean" ? typed(value ? "t" : "f", true) : undefined;
    case "date": {
      const text = kind === "time" ? serverTextOfDate(value as Date) : undefined;
      return text === undefined ? undefined : typed(text, true);
    }
    case "bytes":
      return kind === "bytes" ? typed(hexOf(value as Uint8Array), true) : undefined;
    case "null":
    case "array":
    case "object":
    case "tagged":
      return undefined;
    default:
      return type satisfies never;
  }
}

/** What comes as text where the endpoint says so may be any text. */
function textOfTag(kind: ColumnKind, { plain }: Dialect): "unknown" | undefined {
  return plain && (kind === "tag" || kind === "time" || kind === "decimal" || kind === "array") ? "unknown" : undefined;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** How a text is found in a column of texts. */
export function equalText(cell: string, column: Column, text: string): Equality | undefined {
  if (text.includes("\0")) return undefined;
  if (isPlainText(column)) return { side: cell, cell: text, type: TEXT, exact: isDeterministic(column) };
  switch (typeNameOf(column)) {
    case "uuid":
      return UUID.test(text) ? { side: cell, cell: text, type: typeText(column.type), exact: true } : undefined;
    case "bpchar":
    case "citext":
    case "name":
      return { side: cell, cell: text, type: typeText(column.type), exact: false };
    default:
      return { side: `${cell}::${TEXT}`, cell: text, type: TEXT, exact: true };
  }
}

/** Whether texts are equal in a column's collation only when they are the same. */
function isDeterministic({ collation, byCodePoint }: Column): boolean {
  return byCodePoint || collation === undefined || collation === '"pg_catalog"."default"';
}

function equalNumber(
  column: Column,
  kind: ColumnKind,
  value: number | bigint,
  typed: (text: string, exact: boolean, as?: string) => Equality,
  { version }: Dialect,
): Equality | undefined {
  switch (kind) {
    case "integer": {
      if (typeof value === "number" && !Number.isInteger(value)) return undefined;
      const integer = BigInt(value);
      if (typeNameOf(column) === "oid") {
        return integer >= 0n && integer < 2n ** 32n ? typed(String(integer), true) : undefined;
      }
      return integer >= LEAST && integer <= MOST ? typed(String(integer), true, "pg_catalog.int8") : undefined;
    }
    case "float": {
      const number = Number(value);
      if (typeof value === "bigint" && (!Number.isFinite(number) || BigInt(number) !== value)) return undefined;
      if (typeNameOf(column) === "float8") return typed(floatText(number), true);
      const single = Math.fround(number);
      const isLost = Number.isFinite(number) && (!Number.isFinite(single) || (single === 0 && number !== 0));
      return isLost ? undefined : typed(floatText(number), false);
    }
    case "decimal": {
      if (typeof value === "number" && !Number.isFinite(value) && version < NUMERIC_INFINITY) return undefined;
      return typed(decimalText(value), false);
    }
    default:
      return undefined;
  }
}

function floatText(number: number): string {
  return number === 0 ? "0" : String(number);
}

/** The decimal whose size the value has. */
function decimalText(value: number | bigint): string {
  if (typeof value === "bigint") return value.toString();
  return Number.isInteger(value) ? BigInt(value).toString() : String(value);
}

type Comparison = "gt" | "gte" | "lt" | "lte";

const SIGNS = { gt: ">", gte: ">=", lt: "<", lte: "<=" } as const;

/** The cell is of the value's kind, and larger or smaller. */
function compareCell(
  cell: string,
  column: Column,
  operator: Comparison,
  value: P2PValue,
  dialect: Dialect,
): Translation {
  const kind = kindOf(column);
  if (kind === "json") return UNKNOWN;
  switch (valueType(value)) {
    case "string":
      if (kind === "text") return compareText(cell, column, operator, value as string);
      return textOfTag(kind, dialect) === "unknown" ? UNKNOWN : NEVER;
    case "number":
    case "bigint":
      return compareNumber(cell, column, kind, operator, value as number | bigint, dialect);
    case "boolean": {
      if (kind !== "boolean") return NEVER;
      return {
        sql: (params) => `${cell} ${SIGNS[operator]} ${params.add(value ? "t" : "f", "pg_catalog.bool")}`,
        exact: true,
      };
    }
    case "date": {
      const text = kind === "time" ? serverTextOfDate(value as Date) : undefined;
      if (kind !== "time") return NEVER;
      if (text === undefined) return UNKNOWN;
      // Infinity, and what no Date says exactly, is among them.
      return compareTyped(cell, typeText(column.type), operator, text, false);
    }
    case "bytes":
      if (kind !== "bytes") return NEVER;
      return compareTyped(cell, "pg_catalog.bytea", operator, hexOf(value as Uint8Array), true);
    case "object":
    case "null":
    case "array":
    case "tagged":
      return NEVER;
  }
}

function compareTyped(cell: string, type: string, operator: Comparison, text: string, exact: boolean): Translation {
  return { sql: (params) => `${cell} ${SIGNS[operator]} ${params.add(text, type)}`, exact };
}

function compareText(cell: string, column: Column, operator: Comparison, text: string): Translation {
  const side = textInOrder(cell, column);
  const nul = text.indexOf("\0");
  if (nul < 0) return compareTyped(side, TEXT, operator, text, true);
  // Texts without U+0000 lie to either side of what stands before it.
  const upwards = operator === "gt" || operator === "gte";
  return compareTyped(side, TEXT, upwards ? "gt" : "lte", text.slice(0, nul), true);
}

function compareNumber(
  cell: string,
  column: Column,
  kind: ColumnKind,
  operator: Comparison,
  value: number | bigint,
  { version }: Dialect,
): Translation {
  switch (kind) {
    case "integer":
      return compareInteger(typeNameOf(column) === "oid" ? `${cell}::pg_catalog.int8` : cell, operator, value);
    case "float":
      return compareFloat(cell, column, operator, value);
    case "decimal": {
      if (typeof value === "number" && !Number.isFinite(value) && version < NUMERIC_INFINITY) return UNKNOWN;
      return compareTyped(cell, "pg_catalog.numeric", operator, decimalText(value), false);
    }
    default:
      return NEVER;
  }
}

function compareInteger(cell: string, operator: Comparison, value: number | bigint): Translation {
  const upwards = operator === "gt" || operator === "gte";
  if (typeof value === "number" && !Number.isFinite(value)) {
    return upwards === value < 0 ? { sql: () => `${cell} IS NOT NULL`, exact: true } : NEVER;
  }
  const floor = BigInt(typeof value === "number" ? Math.floor(value) : value);
  const isWhole = typeof value === "bigint" || Number.isInteger(value);
  // The least or the largest integer that is meant.
  const bound = upwards
    ? operator === "gte" && isWhole
      ? floor
      : floor + 1n
    : operator === "lt" && isWhole
      ? floor - 1n
      : floor;
  if (upwards ? bound <= LEAST : bound >= MOST) return { sql: () => `${cell} IS NOT NULL`, exact: true };
  if (upwards ? bound > MOST : bound < LEAST) return NEVER;
  return compareTyped(cell, "pg_catalog.int8", upwards ? "gte" : "lte", String(bound), true);
}

/** NaN, which the server holds for the largest number, is neither larger nor smaller here. */
function compareFloat(cell: string, column: Column, operator: Comparison, value: number | bigint): Translation {
  const isDouble = typeNameOf(column) === "float8";
  const near = isDouble ? Number(value) : Math.fround(Number(value));
  const exact = isDouble && (typeof value === "number" || (Number.isFinite(near) && BigInt(near) === value));
  const upwards = operator === "gt" || operator === "gte";
  const sign = exact ? SIGNS[operator] : upwards ? ">=" : "<=";
  return {
    sql: (params) => {
      const bound = `${cell} ${sign} ${params.add(floatText(near), "pg_catalog.float8")}`;
      return upwards ? `${bound} AND ${cell} <> 'NaN'` : bound;
    },
    exact,
  };
}

function hasPrefix(cell: string, column: Column, prefix: string, dialect: Dialect): Translation {
  const kind = kindOf(column);
  if (kind === "json") return UNKNOWN;
  if (kind !== "text") return textOfTag(kind, dialect) === "unknown" ? UNKNOWN : NEVER;
  if (prefix.includes("\0")) return NEVER;
  if (prefix === "") return { sql: () => `${cell} IS NOT NULL`, exact: true };
  const side = textInOrder(cell, column);
  const end = afterPrefix(prefix);
  return {
    sql: (params) => {
      const from = `${side} >= ${params.add(prefix, TEXT)}`;
      return end === undefined ? from : `${from} AND ${side} < ${params.add(end, TEXT)}`;
    },
    exact: true,
  };
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
