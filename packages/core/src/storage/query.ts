/** The query: parser, checks, and what `where`, `orderBy` and `fields` mean. */
import { notPlain } from "../described.ts";
import { P2PError } from "../errors.ts";
import type { JsonValue } from "../model/json-value.ts";
import { compareLike, compareStrings, compareValues } from "../model/order.ts";
import { idKey, type P2PId, type P2PRecord } from "../model/record.ts";
import { cloneValue, getField, type P2PValue, setField, valueType } from "../model/value-tree.ts";
import { isSingleObject, type SingleObject, singleKindOf } from "../model/value-types.ts";
import { shownName } from "../suggest.ts";

/** The operators of a `where` clause. All those named must hold. */
export interface P2POperators {
  readonly ne?: P2PValue;
  readonly gt?: P2PValue;
  readonly gte?: P2PValue;
  readonly lt?: P2PValue;
  readonly lte?: P2PValue;
  readonly in?: readonly P2PValue[];
  /** `true`: the field is there and not null. `false`: it is absent or null. */
  readonly exists?: boolean;
  /** The field is a string that starts with this text. */
  readonly prefix?: string;
}

/** A field's condition: a plain value for equality, or an object of {@link P2POperators}. */
export type P2PCondition = null | boolean | number | bigint | string | SingleObject | P2POperators;

declare global {
  /**
   * The queries only one store understands, by storage type. Starters add theirs by declaring it once more; it is global, so
   * that it is one for every door of every copy of the core.
   */
  interface P2PNativeQueries {}
}

/** The order of a sorted query. */
export interface P2POrder {
  readonly field: string;
  /** Default `"asc"`. */
  readonly direction?: "asc" | "desc" | undefined;
}

/**
 * Which records to read. The same query means the same on every store:
 *
 * - names are those of top-level fields, taken literally: a dot is part of the name;
 * - a plain value, and `in`, mean equality; numbers and bigints compare by size, `null` matches null and absent;
 * - `ne` is the opposite of equality, so it also matches where the field is absent;
 * - `gt`, `gte`, `lt`, `lte` compare values of one type only: strings by code point, dates by time;
 * - `orderBy` puts null and absent first when ascending, and breaks ties by id; without it records come in the store's
 *   own stable order;
 * - `offset` and `limit` count records after `where`.
 *
 * @example
 * ```ts
 * const query: P2PQuery = { type: "knowledge", where: { version: { gte: 2 } }, fields: ["title"], limit: 1000 };
 * ```
 */
export interface P2PQuery {
  /** Short for `where: { type: … }`. */
  readonly type?: string | undefined;
  readonly where?: { readonly [field: string]: P2PCondition } | undefined;
  /** Fields to read; `id` always comes along. Default: all. */
  readonly fields?: readonly string[] | undefined;
  readonly orderBy?: string | P2POrder | readonly (string | P2POrder)[] | undefined;
  /** Records to pass over first. Default 0. */
  readonly offset?: number | undefined;
  /** Most records to read. Default: all. */
  readonly limit?: number | undefined;
  /** What only one store understands, under its storage type: `{ sqlite: { sql: "…" } }`. */
  readonly native?: { readonly [T in keyof P2PNativeQueries]?: P2PNativeQueries[T] | undefined } | undefined;
  /** One part of a query, as an adapter's `partitions()` made it. Opaque. */
  readonly partition?: JsonValue | undefined;
}

/** The operator of a {@link QueryCondition}. */
export type QueryOperator = "eq" | keyof P2POperators;

/** One condition of a query, checked and spelled out. */
export interface QueryCondition {
  readonly field: string;
  readonly operator: QueryOperator;
  /** For `in` an array, for `exists` a boolean, for `prefix` a string. */
  readonly value: P2PValue;
}

/** A query that has been checked: what adapters work with. */
export interface ParsedQuery {
  /** All of them must hold. */
  readonly conditions: readonly QueryCondition[];
  readonly fields: readonly string[] | undefined;
  readonly orderBy: readonly Required<P2POrder>[];
  readonly offset: number;
  /** `Number.POSITIVE_INFINITY` when there is none. */
  readonly limit: number;
  readonly native: Readonly<Record<string, unknown>>;
  readonly partition: JsonValue | undefined;
}

const QUERY_KEYS = new Set(["type", "where", "fields", "orderBy", "offset", "limit", "native", "partition"]);
/** Keyed by the operators, so that the compiler asks for a new one here. */
const OPERATOR_NAMES: Readonly<Record<keyof P2POperators, true>> = {
  ne: true,
  gt: true,
  gte: true,
  lt: true,
  lte: true,
  in: true,
  exists: true,
  prefix: true,
};
const OPERATORS: ReadonlySet<string> = new Set(Object.keys(OPERATOR_NAMES));

/**
 * Checks a query and spells it out.
 *
 * @throws P2PError `INVALID_QUERY`, naming the key that is wrong.
 */
export function parseQuery(query: P2PQuery): ParsedQuery {
  const what = notPlain(query);
  if (what !== undefined) throw invalid(`a query must be an object, and this is ${what}`);
  for (const key of Object.keys(query)) {
    if (!QUERY_KEYS.has(key))
      throw invalid(`unknown key "${shownName(key)}"; a query has ${[...QUERY_KEYS].join(", ")}`);
  }
  for (const key of ["where", "native"] as const) {
    const value: unknown = query[key];
    const found = value === undefined ? undefined : notPlain(value);
    if (found !== undefined) throw invalid(`${key} must be an object, and this is ${found}`);
  }
  const conditions: QueryCondition[] = [];
  if (query.type !== undefined) {
    if (typeof query.type !== "string") throw invalid("type must be a string");
    conditions.push({ field: "type", operator: "eq", value: query.type });
  }
  for (const field of Object.keys(query.where ?? {})) addConditions(conditions, field, query.where![field]);
  return {
    conditions,
    fields: parseFields(query.fields),
    orderBy: parseOrder(query.orderBy),
    offset: parseCount("offset", query.offset, 0),
    limit: parseCount("limit", query.limit, Number.POSITIVE_INFINITY),
    native: Object.fromEntries(Object.entries(query.native ?? {}).filter(([, value]) => value !== undefined)),
    partition: query.partition,
  };
}

function addConditions(conditions: QueryCondition[], field: string, condition: P2PCondition | undefined): void {
  if (condition === undefined) throw invalid(`where.${field} is undefined; use null, or { exists: false }`);
  if (typeof condition !== "object" || condition === null || isSingleObject(condition)) {
    conditions.push(checkedCondition(field, "eq", condition));
    return;
  }
  if (Array.isArray(condition))
    throw invalid(`where.${field} is an array; use { in: […] } to match one of several values`);
  const found = notPlain(condition);
  if (found !== undefined) throw invalid(`where.${field} is ${found}`);
  const operators = Object.entries(condition);
  if (operators.length === 0)
    throw invalid(`where.${field} is an empty object, which asks nothing; give a value or an operator`);
  for (const [operator, value] of operators) {
    if (value === undefined) throw invalid(`where.${field}.${operator} is undefined; leave it out, or give a value`);
    if (!OPERATORS.has(operator)) {
      throw invalid(
        `where.${field} has the unknown operator "${operator}"; the operators are ${[...OPERATORS].join(", ")}. What only one store understands belongs under native`,
      );
    }
    conditions.push(checkedCondition(field, operator as QueryOperator, value as P2PValue));
  }
}

function checkedCondition(field: string, operator: QueryOperator, value: P2PValue): QueryCondition {
  const where = `where.${field}${operator === "eq" ? "" : `.${operator}`}`;
  if (operator === "in") {
    if (!Array.isArray(value)) throw invalid(`${where} must be an array of values`);
    for (const item of value) assertScalar(where, item);
  } else if (operator === "exists") {
    if (typeof value !== "boolean") throw invalid(`${where} must be true or false`);
  } else if (operator === "prefix") {
    if (typeof value !== "string") throw invalid(`${where} must be a string`);
    assertScalar(where, value);
  } else {
    assertScalar(where, value);
    if (value === null && operator !== "eq" && operator !== "ne") throw invalid(`${where} cannot compare with null`);
  }
  // Stores know dates and bytes by their class, and the caller's may be of another realm.
  return { field, operator, value: cloneValue(value) };
}

function assertScalar(where: string, value: P2PValue): void {
  const type = valueType(value);
  if (type === "array" || type === "object" || type === "tagged" || Number.isNaN(value)) {
    throw invalid(`${where} must be a single value (string, number, bigint, boolean, date, bytes or null)`);
  }
  const trouble = isSingleObject(value) ? singleKindOf(value)!.trouble(value) : undefined;
  if (trouble !== undefined) throw invalid(`${where} is ${trouble}`);
  if (typeof value === "string" && !value.isWellFormed()) throw invalid(`${where} holds a lone surrogate`);
}

function parseFields(fields: readonly string[] | undefined): readonly string[] | undefined {
  if (fields === undefined) return undefined;
  if (!Array.isArray(fields) || fields.some((field) => typeof field !== "string" || field === "")) {
    throw invalid("fields must be an array of field names");
  }
  return [...new Set(fields.filter((field) => field !== "id"))];
}

function parseOrder(orderBy: P2PQuery["orderBy"]): Required<P2POrder>[] {
  if (orderBy === undefined) return [];
  const list = Array.isArray(orderBy) ? (orderBy as readonly (string | P2POrder)[]) : [orderBy as string | P2POrder];
  return list.map((item) => {
    const order: P2POrder = typeof item === "string" ? { field: item } : item;
    const direction = order?.direction ?? "asc";
    if (typeof order?.field !== "string" || order.field === "" || (direction !== "asc" && direction !== "desc")) {
      throw invalid('orderBy takes a field name or { field, direction: "asc" | "desc" }, or an array of these');
    }
    return { field: order.field, direction };
  });
}

function parseCount(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (!Number.isSafeInteger(value) || value < 0)
    throw invalid(`${name} must be a whole number from 0 up, not ${value}`);
  return value;
}

function invalid(what: string): P2PError {
  return new P2PError("INVALID_QUERY", `Invalid query: ${what}`);
}

/**
 * Whether a record meets all conditions: the meaning of `where`, written once. Stores that cannot filter by
 * themselves use it, and the conformance suite holds the others to it.
 */
export function matches(conditions: readonly QueryCondition[], record: P2PRecord): boolean {
  for (const condition of conditions) if (!holds(condition, getField(record, condition.field) ?? null)) return false;
  return true;
}

function holds({ field, operator, value }: QueryCondition, actual: P2PValue): boolean {
  switch (operator) {
    case "eq":
      return same(field, actual, value);
    case "ne":
      return !same(field, actual, value);
    case "in":
      return (value as readonly P2PValue[]).some((item) => same(field, actual, item));
    case "exists":
      return (actual !== null) === value;
    case "prefix":
      return typeof actual === "string" && actual.startsWith(value as string);
    case "gt":
    case "gte":
    case "lt":
    case "lte": {
      const order = compareLike(actual, value);
      return order !== undefined && isInRange(operator, order);
    }
    default:
      throw invalid(`where.${field} has the unknown operator "${String(operator satisfies never)}"`);
  }
}

function isInRange(operator: "gt" | "gte" | "lt" | "lte", order: number): boolean {
  switch (operator) {
    case "gt":
      return order > 0;
    case "gte":
      return order >= 0;
    case "lt":
      return order < 0;
    case "lte":
      return order <= 0;
    default:
      return operator satisfies never;
  }
}

function same(field: string, actual: P2PValue, wanted: P2PValue): boolean {
  if (actual === null || wanted === null) return actual === wanted;
  if (field === "id") return idKey(actual as P2PId) === idKey(wanted as P2PId);
  return compareLike(actual, wanted) === 0;
}

/**
 * Compares two records by the orders of a query, ties by id: {@link compareValues} of each field in turn, in which null
 * and absent come first when ascending. It is total, and zero only for two records of one identity.
 */
export function compareRecords(orderBy: readonly Required<P2POrder>[], a: P2PRecord, b: P2PRecord): number {
  for (const { field, direction } of orderBy) {
    const order = compareValues(getField(a, field), getField(b, field));
    if (order !== 0) return direction === "asc" ? order : -order;
  }
  return compareIds(a.id, b.id);
}

/** A number and a bigint of one size may be two identities: `1e21` and `10n ** 21n` have different texts. */
function compareIds(a: P2PId, b: P2PId): number {
  return compareValues(a, b) || compareStrings(idKey(a), idKey(b));
}

/** A copy of the record with the id and the fields asked for; all of it when `fields` is undefined. */
export function projectRecord(record: P2PRecord, fields: readonly string[] | undefined): P2PRecord {
  return cloneValue(pickFields(record, fields));
}

/**
 * The record with its id and these fields alone, all of them for `undefined`. Shares its values with the record: for one that
 * was just made and belongs to nobody yet, of which {@link projectRecord} would make a needless copy.
 */
export function pickFields(record: P2PRecord, fields: readonly string[] | undefined): P2PRecord {
  if (fields === undefined) return record;
  const picked: Record<string, P2PValue> = { id: record.id };
  for (const field of fields) {
    const value = getField(record, field);
    if (value !== undefined) setField(picked, field, value);
  }
  return picked as P2PRecord;
}
