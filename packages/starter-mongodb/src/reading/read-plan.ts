import type { P2PId } from "@omni/p2p-core/starter";
import type { Document, FindOptions } from "mongodb";
import type { OpenCollection } from "../query/open-collection.ts";
import { isAddressable, type MongodbQuery, nativeFilter } from "../query/query.ts";
import { afterKeys, type SortField } from "../query/sort-key.ts";
import { type ServerFilter, serverFilter } from "../query/where.ts";
import { documentField } from "../values/document-field.ts";
import { idsAfter, idsBefore, idsUpTo } from "../values/id-order.ts";
import { SIDECAR } from "../values/sidecar.ts";

/** How a query is put to the server. */
export interface ReadPlan {
  readonly query: MongodbQuery;
  readonly where: ServerFilter;
  /** What must hold beside the range of ids. */
  readonly filters: readonly Document[];
  /** Whether the order is another than that of the ids, so that reading goes on by what they are sorted by and the id. */
  readonly sorted: boolean;
  /** The fields that decide the order before the id does. */
  readonly sortFields: readonly SortField[];
  readonly idDirection: 1 | -1;
  readonly options: FindOptions;
}

/** Plans the reading of a query. */
export function planRead(opened: OpenCollection, query: MongodbQuery): ReadPlan {
  const where = serverFilter(query.conditions, opened);
  const native = query.filter && (nativeFilter(query.filter, (value) => opened.encoder.value(value)) as Document);
  const sort = sortOf(query);
  const projection = projectionOf(opened, query, where.exact);
  const idDirection = sort.at(-1)![1];
  const sortFields = sort.slice(0, -1);
  const sorted = sortFields.length > 0 || idDirection !== 1;
  return {
    query,
    where,
    filters: native === undefined ? where.filters : [...where.filters, native],
    sorted,
    sortFields,
    idDirection,
    options: {
      sort,
      ...(sorted && opened.dialect.complete ? { allowDiskUse: true } : {}),
      ...(projection === undefined ? {} : { projection }),
      ...(query.hint === undefined ? {} : { hint: query.hint }),
    },
  };
}

/** One filter for the conditions and for what is left of a sorted read behind a document. */
export function filterBehind(opened: OpenCollection, plan: ReadPlan, { keys, id }: SortPosition): Document {
  const { dialect, encoder } = opened;
  const ids = plan.idDirection === 1 ? idsAfter(id, dialect, encoder) : idsBefore(id, dialect, encoder);
  const behind = afterKeys(keys, plan.sortFields, { $or: ids }, dialect);
  return allOf([filterFrom(opened, plan, undefined), behind]);
}

/** Where a document stands in a sorted read: what it is sorted by, and its id. */
export interface SortPosition {
  readonly keys: readonly unknown[];
  readonly id: P2PId;
}

/** One filter for the conditions and for the ids that are left. */
export function filterFrom(opened: OpenCollection, plan: ReadPlan, after: P2PId | undefined): Document {
  const { dialect, encoder } = opened;
  const { range } = plan.query;
  const from = after === undefined ? range.after : after;
  const lower = from === undefined ? [{}] : idsAfter(from, dialect, encoder);
  const upper = range.upTo === undefined ? [{}] : idsUpTo(range.upTo, dialect, encoder);
  // An "or" of "and"s, in which each alternative is a range of the index on _id.
  const alternatives = lower.flatMap((above) => upper.map((below) => allOf([above, below, ...plan.filters])));
  return alternatives.length === 1 ? alternatives[0]! : { $or: alternatives };
}

/** A filter that matches where all of these do. */
export function allOf(filters: readonly Document[]): Document {
  const real = filters.filter((filter) => Object.keys(filter).length > 0);
  return real.length > 1 ? { $and: real } : (real[0] ?? {});
}

function sortOf({ orderBy }: MongodbQuery): [string, 1 | -1][] {
  const sort: [string, 1 | -1][] = [];
  for (const { field, direction } of orderBy) {
    const name = documentField(field);
    if (!sort.some(([other]) => other === name)) sort.push([name, direction === "asc" ? 1 : -1]);
    // What comes after a unique field decides nothing.
    if (name === "_id") return sort;
  }
  return [...sort, ["_id", 1]];
}

/** The fields to ask for, or `undefined` for all of them: also where one cannot be named to the server. */
function projectionOf(opened: OpenCollection, query: MongodbQuery, exact: boolean): Document | undefined {
  if (query.fields === undefined) return undefined;
  const fields = new Set(["id", ...query.fields]);
  if (!exact) for (const { field } of query.conditions) fields.add(field);
  for (const { field } of query.orderBy) fields.add(field);
  for (const path of opened.shardKey) fields.add(documentField(path.split(".")[0]!));
  const projection: Document = { [SIDECAR]: 1 };
  for (const field of fields) {
    if (!isAddressable(field, opened.dialect)) return undefined;
    projection[documentField(field)] = 1;
  }
  return projection;
}
