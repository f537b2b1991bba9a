import { fromJson, type JsonValue, P2PError, type P2PRecord, type P2PValue, toJson } from "@omni/p2p-core/starter";
import type { SortValue } from "../values/decode.ts";
import type { ChangePosition } from "./change-cursor.ts";

/** The cursor of a read without an order. */
export function writeCursor({ change, id, index }: ChangePosition): JsonValue {
  return [change, id, index];
}

export function readCursor(cursor: JsonValue): ChangePosition {
  const [change, id, index] = Array.isArray(cursor) && cursor.length === 3 ? (cursor as readonly JsonValue[]) : [];
  if (!Number.isSafeInteger(change) || typeof id !== "string" || typeof index !== "string") throw foreignCursor();
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
  return {
    ...(after === undefined ? {} : { after: toJson(after as P2PValue) }),
    ...(odd === undefined ? {} : { odd: toJson(odd) }),
  };
}

export function readOrderedCursor(cursor: JsonValue): OrderedPosition {
  if (typeof cursor !== "object" || cursor === null || Array.isArray(cursor)) throw foreignCursor();
  const { after, odd } = cursor as { after?: JsonValue; odd?: JsonValue };
  const isRecord = typeof odd === "object" && odd !== null && !Array.isArray(odd) && Object.hasOwn(odd, "id");
  if ((odd !== undefined && !isRecord) || !(after === undefined || Array.isArray(after))) throw foreignCursor();
  if (after === undefined && odd === undefined) throw foreignCursor();
  return {
    after: after === undefined ? undefined : (fromJson(after) as readonly SortValue[]),
    odd: odd === undefined ? undefined : (fromJson(odd) as P2PRecord),
  };
}

function foreignCursor(): P2PError {
  return new P2PError(
    "CHECKPOINT_INVALID",
    "The position to read on from is of another kind of endpoint, or of another query; start again without it",
  );
}
