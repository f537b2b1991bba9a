import {
  cursorPosition,
  foreignCursor,
  fromJson,
  type JsonValue,
  type P2PRecord,
  type P2PValue,
  storeCursor,
  toJson,
} from "@omni/p2p-core/starter";
import { STORE } from "../types.ts";
import type { SortValue } from "../values/decode.ts";
import type { ChangePosition } from "./change-cursor.ts";

/** The cursor of a read without an order. */
export function writeCursor({ change, id, index }: ChangePosition): JsonValue {
  return storeCursor(STORE, [change, id, index]);
}

export function readCursor(cursor: JsonValue): ChangePosition {
  const position = cursorPosition(STORE, cursor);
  const [change, id, index] =
    Array.isArray(position) && position.length === 3 ? (position as readonly JsonValue[]) : [];
  if (!Number.isSafeInteger(change) || typeof id !== "string" || typeof index !== "string") throw foreignCursor(STORE);
  return { change: change as number, id, index };
}

/**
 * Where a read in an order stands: in the server's order, and among those that are sorted here, behind the one with this id
 * and these values. Not behind so many of them: some may have been deleted when the reading goes on.
 */
export interface OrderedPosition {
  readonly after: readonly SortValue[] | undefined;
  readonly odd: P2PRecord | undefined;
}

/** The cursor of a read in an order. */
export function writeOrderedCursor({ after, odd }: OrderedPosition): JsonValue {
  return storeCursor(STORE, {
    ...(after === undefined ? {} : { after: toJson(after as P2PValue) }),
    ...(odd === undefined ? {} : { odd: toJson(odd) }),
  });
}

export function readOrderedCursor(cursor: JsonValue): OrderedPosition {
  const position = cursorPosition(STORE, cursor);
  if (typeof position !== "object" || position === null || Array.isArray(position)) throw foreignCursor(STORE);
  const { after, odd } = position as { after?: JsonValue; odd?: JsonValue };
  const isRecord = typeof odd === "object" && odd !== null && !Array.isArray(odd) && Object.hasOwn(odd, "id");
  if ((odd !== undefined && !isRecord) || !(after === undefined || Array.isArray(after))) throw foreignCursor(STORE);
  if (after === undefined && odd === undefined) throw foreignCursor(STORE);
  return {
    after: after === undefined ? undefined : (fromJson(after) as readonly SortValue[]),
    odd: odd === undefined ? undefined : (fromJson(odd) as P2PRecord),
  };
}
