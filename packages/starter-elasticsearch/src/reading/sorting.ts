import { P2PError, type P2POrder, type ParsedQuery } from "@omni/p2p-core/starter";
import type { Sort } from "../client/dialect.ts";
import type { Link } from "../client/link.ts";
import { fieldAt } from "../mapping/names.ts";
import { type FieldSchema, type IndexSchema, type IndexSchemas, indicesBySchema } from "../mapping/schema.ts";
import { ALL, anyOf, type Clause, NONE } from "../query/clause.ts";
import { eachInItsIndices, oddClause } from "../query/query.ts";

/** An order as far as the server can make it. */
export interface ServerOrder {
  readonly sort: Sort;
  /** Documents that the server would put in the wrong place: they are sorted here. */
  readonly odd: Clause;
  /** The field that makes every document odd, if there is one. */
  readonly unsortable: string | undefined;
}

const SORTABLE_TYPES: ReadonlySet<string> = new Set([
  ...["long", "integer", "short", "byte", "unsigned_long"],
  ...["double", "float", "half_float", "scaled_float"],
  ...["boolean", "date", "date_nanos", "ip"],
]);

/** The order of a query in the server's terms. Ties are broken by id, as everywhere. */
export function serverOrder({ orderBy }: ParsedQuery, schemas: IndexSchemas, ties: Sort): ServerOrder {
  const sort: Record<string, unknown>[] = [];
  const odd: Clause[] = [];
  const groups = indicesBySchema(schemas);
  let unsortable: string | undefined;
  const tieById: Required<P2POrder>[] = orderBy.some(({ field }) => field === "id")
    ? []
    : [{ field: "id", direction: "asc" }];
  for (const { field: name, direction } of [...orderBy, ...tieById]) {
    const found = commonKey(name, groups);
    if (found === undefined) {
      // Other people's indices have no field with the ids; ties then go by the order of writing.
      if (name === "id" && tieById.length > 0) continue;
      unsortable ??= name;
      odd.push(ALL);
      continue;
    }
    odd.push(found.odd);
    if (found.key === undefined) continue;
    // Null and absent are one and come first when ascending.
    const missing = direction === "asc" ? "_first" : "_last";
    sort.push({ [found.key.path]: { order: direction, missing, unmapped_type: found.key.type } });
  }
  return { sort: [...sort, ...ties], odd: anyOf(odd.length === 0 ? [NONE] : odd), unsortable };
}

/** A name to sort by, and the type that the server compares. */
interface SortKey {
  readonly path: string;
  readonly type: string;
}

/**
 * The one key by which the server can sort all of the indices, if no document has a value that it does not see there:
 * values of two types, such as milliseconds and nanoseconds, would stand in no order among each other.
 */
function commonKey(
  name: string,
  groups: ReadonlyMap<IndexSchema, readonly string[]>,
): { readonly key: SortKey | undefined; readonly odd: Clause } | undefined {
  let key: SortKey | undefined;
  for (const schema of groups.keys()) {
    const own = sortKey(name, schema);
    if (own === undefined) return undefined;
    if (own === EMPTY) continue;
    if (key !== undefined && (own.path !== key.path || own.type !== key.type)) return undefined;
    key = own;
  }
  return { key, odd: eachInItsIndices(groups, (schema) => oddClause(name, schema)) };
}

/** Stands for a field of which no document has a value for the server to see. */
const EMPTY: SortKey = { path: "", type: "" };

/** `undefined` when there is no name to sort by. */
function sortKey(name: string, schema: IndexSchema): SortKey | undefined {
  const field = fieldAt(schema.fields, name);
  if (name === "id") return schema.ours && field?.kind !== undefined ? ownKey(name, field) : undefined;
  if (field === undefined) return schema.ours || schema.dynamic === "true" ? EMPTY : undefined;
  if (field.kind !== undefined) return ownKey(name, field);
  if (field.keyword !== undefined) return { path: field.keyword, type: "keyword" };
  return SORTABLE_TYPES.has(field.type) && field.indexed ? { path: name, type: field.type } : undefined;
}

function ownKey(name: string, { kind, keyword, type }: FieldSchema): SortKey | undefined {
  if (kind === "string") return keyword === undefined ? undefined : { path: keyword, type: "keyword" };
  return kind === "bytes" || kind === "object" ? undefined : { path: name, type };
}

/** Most documents that are sorted here. Their keys are held in memory. */
export const MOST_ODD = 10_000;

/** The error for an order that the server cannot make, over more documents than are sorted here. */
export function tooManyToSort(
  { unsortable }: ServerOrder,
  {
    link: { label, dialect },
    schemas,
  }: { readonly link: Pick<Link, "label" | "dialect">; readonly schemas: IndexSchemas },
): P2PError {
  const differing = unsortable === undefined ? [] : typesOf(unsortable, schemas);
  const why =
    differing.length > 1
      ? `have to be sorted by "${unsortable}", which is not of one type: ${differing.join(", ")}`
      : unsortable === undefined
        ? `have values there that ${dialect.product} does not index, such as long texts or values of another type`
        : `have to be sorted by "${unsortable}", which ${dialect.product} cannot do with the field's type`;
  return new P2PError(
    "UNSUPPORTED_QUERY",
    `${label} cannot be read in this order: more than ${MOST_ODD} documents ${why}. ` +
      "Leave orderBy out, narrow the query with where, or sort by another field",
  );
}

/** Each type of a field, with one of the indices where it has that. */
function typesOf(name: string, schemas: IndexSchemas): string[] {
  const found = new Map<string, string>();
  for (const [index, schema] of schemas) {
    const type = fieldAt(schema.fields, name)?.type;
    if (type !== undefined && !found.has(type)) found.set(type, `${type} in "${index}"`);
  }
  return [...found.values()];
}
