import { fromJson, type JsonValue, P2PError, type P2PValue, toJson } from "@omni/p2p-core";
import type { SortValue } from "./decode.ts";
import type { Position } from "./point-in-time.ts";

/** The cursor of a read without an order: where the last document stands in the order of changes. */
export function writeCursor(sort: readonly SortValue[]): JsonValue {
  return sort as readonly JsonValue[];
}

export function readCursor(cursor: JsonValue): Position {
  if (!Array.isArray(cursor) || cursor.length !== 2 || !cursor.every(Number.isSafeInteger)) throw foreignCursor();
  return { values: cursor as readonly SortValue[], view: undefined };
}

/** Where a read in an order stands: in the server's order, and in the list of those that are sorted here. */
export interface OrderedPosition {
  readonly after: readonly SortValue[] | undefined;
  readonly odd: number;
}

/** The cursor of a read in an order. */
export function writeOrderedCursor({ after, odd }: OrderedPosition): JsonValue {
  return { ...(after === undefined ? {} : { after: toJson(after as P2PValue) }), ...(odd === 0 ? {} : { odd }) };
}

export function readOrderedCursor(cursor: JsonValue): OrderedPosition {
  if (typeof cursor !== "object" || cursor === null || Array.isArray(cursor)) throw foreignCursor();
  const { after, odd = 0 } = cursor as { after?: JsonValue; odd?: JsonValue };
  if (!Number.isSafeInteger(odd) || !(after === undefined || Array.isArray(after))) throw foreignCursor();
  return { after: after === undefined ? undefined : (fromJson(after) as readonly SortValue[]), odd: odd as number };
}

function foreignCursor(): P2PError {
  return new P2PError(
    "INVALID_QUERY",
    "Invalid query: this cursor is of another kind of endpoint, or of another query",
  );
}
