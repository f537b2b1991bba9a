import {
  invalidNative,
  nativePart,
  P2PError,
  type P2PQuery,
  type P2PValue,
  type ParsedQuery,
  parseQuery,
  TaggedValue,
} from "@omni/p2p-core/starter";
import type { Dialect } from "../client/dialect.ts";
import { STORE } from "../client/storage-type.ts";
import { type IdRange, parseRange } from "../values/id-order.ts";

/** What only MongoDB understands, under `native.mongodb` of a query. */
export interface MongodbNativeQuery {
  /**
   * A filter in MongoDB's language; `_id` is called so here. It must hold beside `where`. Values may be of the driver's
   * BSON classes or a `TaggedValue`.
   */
  readonly filter?: Readonly<Record<string, unknown>> | undefined;
  /** The index to use: its name or its keys. */
  readonly hint?: string | Readonly<Record<string, 1 | -1 | "text" | "2d" | "2dsphere" | "hashed">> | undefined;
}

declare global {
  interface P2PNativeQueries {
    mongodb: MongodbNativeQuery;
  }
}

/** A checked query with what is MongoDB's own in it. */
export interface MongodbQuery extends ParsedQuery {
  readonly filter: MongodbNativeQuery["filter"];
  readonly hint: MongodbNativeQuery["hint"];
  /** The partition: a range of ids. */
  readonly range: IdRange;
}

/**
 * Checks a query.
 *
 * @throws P2PError `INVALID_QUERY` or `UNSUPPORTED_QUERY`
 */
export function parseMongodbQuery(query: P2PQuery, dialect: Dialect): MongodbQuery {
  const parsed = parseQuery(query);
  const { filter, hint } = nativePart(parsed, { store: STORE, product: "MongoDB", keys: ["filter", "hint"] }) ?? {};
  if (filter !== undefined && !isPlainObject(filter)) throw invalidNative(STORE, "filter must be an object");
  if (hint !== undefined && typeof hint !== "string" && !isPlainObject(hint)) {
    throw invalidNative(STORE, "hint must be the name of an index or its keys");
  }
  for (const { field } of parsed.orderBy) {
    if (!isAddressable(field, dialect)) {
      throw new P2PError(
        "UNSUPPORTED_QUERY",
        `MongoDB cannot sort by the field ${JSON.stringify(field)}: names that are empty, start with "$" or hold a dot or a NUL cannot be told from paths`,
      );
    }
  }
  return { ...parsed, filter, hint: hint as MongodbNativeQuery["hint"], range: parseRange(parsed.partition) };
}

/** A native filter with the driver's values in place of tagged ones. */
export function nativeFilter(value: unknown, encode: (value: P2PValue) => unknown): unknown {
  if (value instanceof TaggedValue) return encode(value);
  if (Array.isArray(value)) return value.map((item) => nativeFilter(item, encode));
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, nativeFilter(inner, encode)]));
}

/** Whether a filter, a sort or a projection can name a field of the root: paths are split at dots. */
export function isAddressable(field: string, dialect: Dialect): boolean {
  return (
    field !== "" &&
    field !== "__proto__" &&
    !field.includes(".") &&
    !dialect.unfitName.test(field) &&
    !dialect.unfitPath?.test(field)
  );
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null)
  );
}
