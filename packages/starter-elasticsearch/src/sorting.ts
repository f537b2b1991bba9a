import { P2PError, type P2POrder, type ParsedQuery } from "@omni/p2p-core";
import { ALL, anyOf, type Clause, NONE } from "./clause.ts";
import { fieldAt } from "./names.ts";
import { type Sort, TIE_BREAKERS } from "./point-in-time.ts";
import { oddClause } from "./query.ts";
import type { FieldSchema, IndexSchema } from "./schema.ts";

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
export function serverOrder({ orderBy }: ParsedQuery, schema: IndexSchema): ServerOrder {
  const sort: Record<string, unknown>[] = [];
  const odd: Clause[] = [];
  let unsortable: string | undefined;
  const tieById: Required<P2POrder>[] = orderBy.some(({ field }) => field === "id")
    ? []
    : [{ field: "id", direction: "asc" }];
  for (const { field: name, direction } of [...orderBy, ...tieById]) {
    const path = sortPath(name, schema);
    if (path === undefined) {
      // Other people's indices have no field with the ids; ties then go by the order of writing.
      if (name === "id" && tieById.length > 0) continue;
      unsortable ??= name;
      odd.push(ALL);
      continue;
    }
    odd.push(oddClause(name, schema));
    if (path === "") continue;
    // Null and absent are one and come first when ascending.
    const missing = direction === "asc" ? "_first" : "_last";
    sort.push({ [path]: { order: direction, missing, unmapped_type: "keyword" } });
  }
  return { sort: [...sort, ...TIE_BREAKERS], odd: anyOf(odd.length === 0 ? [NONE] : odd), unsortable };
}

/** The name to sort by; empty when no document has a value for the server to see; `undefined` when there is none. */
function sortPath(name: string, schema: IndexSchema): string | undefined {
  const field = fieldAt(schema.fields, name);
  if (name === "id") return schema.ours && field?.kind !== undefined ? ownPath(name, field) : undefined;
  if (field === undefined) return schema.ours || schema.dynamic === "true" ? "" : undefined;
  if (field.kind !== undefined) return ownPath(name, field);
  if (field.keyword !== undefined) return field.keyword;
  return SORTABLE_TYPES.has(field.type) && field.indexed ? name : undefined;
}

function ownPath(name: string, { kind, keyword }: FieldSchema): string | undefined {
  if (kind === "string") return keyword;
  return kind === "bytes" || kind === "object" ? undefined : name;
}

/** Most documents that are sorted here. Their keys are held in memory. */
export const MOST_ODD = 10_000;

/** The error for an order that the server cannot make, over more documents than are sorted here. */
export function tooManyToSort({ unsortable }: ServerOrder, label: string): P2PError {
  const why =
    unsortable === undefined
      ? "have values there that Elasticsearch does not index, such as long texts or values of another type"
      : `have to be sorted by "${unsortable}", which Elasticsearch cannot do with the field's type`;
  return new P2PError(
    "UNSUPPORTED_QUERY",
    `${label} cannot be read in this order: more than ${MOST_ODD} documents ${why}. ` +
      "Leave orderBy out, narrow the query with where, or sort by another field",
  );
}
