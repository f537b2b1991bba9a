/** Sort orders: the core's total order of values, as far as SQL can sort by it. */
import {
  compareStrings,
  compareValues,
  getField,
  idKey,
  type P2PRecord,
  type ParsedQuery,
} from "@omni/p2p-core/starter";
import { quote } from "../client/sql.ts";
import type { Column, Table } from "../client/table.ts";
import { SIDECAR } from "../types.ts";
import { scaleOf } from "../values/numeric.ts";
import { kindOf, outputText, textInOrder, typeNameOf } from "./column-kind.ts";
import type { Term } from "./keyset.ts";

/** One field that records are sorted by. */
export interface Slot {
  readonly field: string;
  readonly direction: "asc" | "desc";
}

/** How a query sorts. */
export interface WantedOrder {
  /** The fields in turn, those of the key at the end. */
  readonly slots: readonly Slot[];
  /** What stands in ORDER BY. */
  readonly terms: readonly Omit<Term, "type">[];
  /** Holds for the rows that SQL sorts rightly; `undefined` where it sorts all so. Never NULL. */
  readonly regular: string | undefined;
  /** The column of the first field, where its cells stand in the very order of the values. */
  readonly first: { readonly column: Column; readonly descending: boolean } | undefined;
}

/**
 * The order that a query names: null and absent first when ascending, texts by code point, ties by the key, a composite one column
 * by column. A field that the table has no column for is the same in all rows but those with a sidecar.
 */
export function wantedOrder(table: Table, query: Pick<ParsedQuery, "orderBy">, version: number): WantedOrder {
  const keys = (direction: Slot["direction"]) =>
    table.key.columns.map(({ column }) => ({
      slot: { field: table.key.columns.length === 1 ? "id" : column.field, direction },
      column: column as Column | undefined,
    }));
  const parts: { readonly slot: Slot; readonly column: Column | undefined }[] = [];
  let named = false;
  for (const { field, direction = "asc" } of query.orderBy) {
    if (field === "id") {
      parts.push(...keys(direction));
      named = true;
      break;
    }
    if (parts.some(({ slot }) => slot.field === field)) continue;
    const column = table.columns.find((candidate) => candidate.field === field);
    if (column === undefined && !table.own) continue;
    parts.push({ slot: { field, direction }, column });
  }
  if (!named) parts.push(...keys("asc").filter(({ slot }) => !parts.some((part) => part.slot.field === slot.field)));
  const regular = new Set<string>(table.own ? [`${quote(SIDECAR)} IS NULL`] : []);
  const terms: Omit<Term, "type">[] = [];
  for (const { slot, column } of parts) {
    if (column === undefined) continue;
    const sorting = sortingOf(column, version);
    const descending = slot.direction === "desc";
    if (sorting.regular !== undefined) {
      regular.add(`(${quote(column.name)} IS NULL OR (${sorting.regular}) IS TRUE)`);
    }
    for (const text of sorting.texts) terms.push({ text, descending, nullsFirst: nullsFirst(column, descending) });
  }
  const [first] = parts;
  const firstKind = first?.column && kindOf(first.column);
  return {
    slots: parts.map(({ slot }) => slot),
    terms,
    regular: regular.size === 0 ? undefined : [...regular].join(" AND "),
    first:
      first?.column &&
      (firstKind === "integer" || firstKind === "text" || firstKind === "time" || firstKind === "bytes")
        ? { column: first.column, descending: first.slot.direction === "desc" }
        : undefined,
  };
}

/** Nulls come first when ascending. Where there are none, what the server does by itself finds an index. */
function nullsFirst({ notNull }: Column, descending: boolean): boolean {
  return notNull ? descending : !descending;
}

interface Sorting {
  readonly texts: readonly string[];
  /** Which cells that are not NULL are sorted rightly by it; `undefined` for all. */
  readonly regular?: string;
}

const NAN = "'NaN'";
/** Just behind the last instant that a `Date` can hold. */
const BEHIND_DATES = "'275760-09-13 00:00:00.000001'";

function sortingOf(column: Column, version: number): Sorting {
  const cell = quote(column.name);
  switch (kindOf(column)) {
    case "boolean":
    case "integer":
    case "bytes":
      return { texts: [cell] };
    case "text":
      return { texts: [typeNameOf(column) === "uuid" ? cell : textInOrder(cell, column)] };
    case "float":
      return { texts: [`(${cell} <> ${NAN})`, cell] };
    case "decimal":
      return decimalSorting(cell, column, version);
    case "time":
      return timeSorting(cell, column);
    case "tag":
      return { texts: [`${outputText(cell)} COLLATE "C"`] };
    case "json":
    case "array":
      return { texts: [], regular: "FALSE" };
  }
}

/** Decimals of at most 15 digits are numbers; whole ones are numbers or bigints; others may be tags, which sort otherwise. */
function decimalSorting(cell: string, column: Column, version: number): Sorting {
  const texts = [`(${cell} <> ${NAN})`, cell];
  const declared = scaleOf(column.typmod);
  if (declared !== undefined && !column.optional && (declared.precision <= 15 || declared.scale <= 0)) {
    return { texts };
  }
  const isWhole = `pg_catalog.scale(${cell}) = 0`;
  if (version < 130_000) return { texts, regular: isWhole };
  const isShort = `pg_catalog.abs(${cell}) < 1e9 AND pg_catalog.min_scale(${cell}) <= 6`;
  return declared === undefined
    ? { texts, regular: `${isWhole} OR (${isShort} AND pg_catalog.scale(${cell}) = pg_catalog.min_scale(${cell}))` }
    : { texts, regular: isShort };
}

/** Instants that a `Date` says come behind the others, which are tags, and sort by their texts. */
function timeSorting(cell: string, column: Column): Sorting {
  const utc = typeNameOf(column) === "timestamptz" ? `(${cell} AT TIME ZONE 'UTC')` : cell;
  const isDate = `(pg_catalog.isfinite(${cell}) AND pg_catalog.date_trunc('milliseconds', ${cell}) = ${cell} AND ${cell} < ${BEHIND_DATES})`;
  const given = `pg_catalog.date_part('year', ${utc})::pg_catalog.int4`;
  const year = `(${given} + CASE WHEN ${given} < 0 THEN 1 ELSE 0 END)`;
  const yearText =
    `CASE WHEN ${year} BETWEEN 0 AND 9999 THEN pg_catalog.lpad(${year}::text, 4, '0') ` +
    `ELSE CASE WHEN ${year} < 0 THEN '-' ELSE '+' END || pg_catalog.lpad(pg_catalog.abs(${year})::text, 6, '0') END`;
  const rest = `pg_catalog.regexp_replace(pg_catalog.to_char(${utc}, '-MM-DD"T"HH24:MI:SS.US'), '0{1,3}$', '')`;
  const tag = `CASE WHEN ${isDate} THEN NULL WHEN pg_catalog.isfinite(${cell}) THEN (${yearText}) || ${rest} || 'Z' ELSE ${cell}::text END`;
  return { texts: [isDate, `(${tag}) COLLATE "C"`, cell] };
}

/** Compares two records as a query sorts them; each needs the fields of the slots alone. */
export function compareBySlots(slots: readonly Slot[], a: P2PRecord, b: P2PRecord): number {
  for (const { field, direction } of slots) {
    const order = compareValues(getField(a, field), getField(b, field));
    if (order !== 0) return direction === "asc" ? order : -order;
  }
  return compareStrings(idKey(a.id), idKey(b.id));
}
