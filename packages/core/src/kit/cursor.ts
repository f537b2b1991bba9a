import { P2PError } from "../errors.ts";
import { fromJson, toJson } from "../model/json.ts";
import type { JsonValue } from "../model/json-value.ts";
import { idKey, type P2PId, type P2PRecord } from "../model/record.ts";
import { getField, type P2PValue, setField } from "../model/value-tree.ts";
import type { P2POrder } from "../storage/query.ts";

/**
 * A cursor that says whose it is, so that no other store takes it for its own.
 *
 * @param store the starter's storage type.
 * @param position where reading stands, in the store's own form.
 */
export function storeCursor(store: string, position: JsonValue): JsonValue {
  return { store, at: position };
}

/**
 * The position in a cursor of {@link storeCursor}. A cursor without a mark may be one of an earlier version and is given
 * back as it is: the store looks at its form, and throws {@link foreignCursor} when it does not know it.
 *
 * @throws P2PError `CHECKPOINT_INVALID` when the cursor is another store's. To be called before anything is read.
 */
export function cursorPosition(store: string, cursor: JsonValue): JsonValue {
  if (typeof cursor !== "object" || cursor === null || Array.isArray(cursor)) return cursor;
  const { store: owner, at, ...rest } = cursor as { readonly [key: string]: JsonValue };
  if (typeof owner !== "string" || at === undefined || Object.keys(rest).length > 0) return cursor;
  if (owner !== store) throw foreignCursor(store, owner);
  return at;
}

/**
 * The one error for a cursor that a store did not make, whatever the store and the cursor.
 *
 * @param owner the store that made it, where the cursor says so.
 */
export function foreignCursor(store: string, owner?: string): P2PError {
  const whose = owner === undefined ? `is not one of a ${store} source with this query` : `was made by "${owner}"`;
  return new P2PError(
    "CHECKPOINT_INVALID",
    `The cursor ${whose} and cannot be used to go on reading from "${store}"; start the transfer anew`,
  );
}

/**
 * Where a sorted read stands after a record: the values that it is sorted by, and its id. Reading goes on with the
 * records that come after these by {@link compareRecords}, so that what was added or deleted meanwhile moves nothing.
 */
export function sortPosition(orderBy: readonly Required<P2POrder>[], record: P2PRecord): JsonValue {
  return { sort: orderBy.map(({ field }) => toJson(getField(record, field) ?? null)), id: toJson(record.id) };
}

/**
 * What {@link sortPosition} told, as a record with these values alone: a record is still to be read when
 * `compareRecords(orderBy, record, recordAt(store, orderBy, position)) > 0`.
 *
 * @throws P2PError `CHECKPOINT_INVALID` when the position is none of such an order.
 */
export function recordAt(store: string, orderBy: readonly Required<P2POrder>[], position: JsonValue): P2PRecord {
  const { sort, id } = (position ?? {}) as { readonly sort?: JsonValue; readonly id?: JsonValue };
  if (!Array.isArray(sort) || sort.length !== orderBy.length || id === undefined) throw foreignCursor(store);
  const record: Record<string, P2PValue> = {};
  try {
    for (const [i, { field }] of orderBy.entries()) setField(record, field, fromJson(sort[i] as JsonValue));
    record.id = fromJson(id);
    idKey(record.id as P2PId);
  } catch {
    throw foreignCursor(store);
  }
  return record as P2PRecord;
}
