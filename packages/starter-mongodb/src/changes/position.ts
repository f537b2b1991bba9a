/** Resume tokens: a place in a change stream, as plain JSON. */
import { cursorPosition, foreignCursor, type JsonValue, storeCursor } from "@omni/p2p-core/starter";
import type { BSON, Timestamp } from "mongodb";
import { STORE } from "../client/storage-type.ts";

/** Where a stream goes on: behind a token, or at a time where the server gave no token yet. */
export interface ChangePosition {
  /** In extended JSON. */
  readonly token?: JsonValue;
  /** The cluster's time of the newest change that was told. */
  readonly time?: Timestamp;
}

export function writePosition({ token, time }: ChangePosition): JsonValue {
  return storeCursor(STORE, {
    ...(token !== undefined && { token }),
    ...(time && { time: [time.getHighBitsUnsigned(), time.getLowBitsUnsigned()] }),
  });
}

/** @throws P2PError `CHECKPOINT_INVALID` for what no feed of this store gave. */
export function parsePosition(json: JsonValue, { Timestamp }: typeof BSON): ChangePosition {
  const { token, time } = (cursorPosition(STORE, json) ?? {}) as {
    readonly token?: JsonValue;
    readonly time?: JsonValue;
  };
  const known = typeof token === "object" && token !== null && !Array.isArray(token);
  const [t, i] = Array.isArray(time) ? time : [];
  const timed = typeof t === "number" && typeof i === "number";
  if (!known && !timed) throw foreignCursor(STORE);
  return { ...(known && { token }), ...(timed && { time: new Timestamp({ t, i }) }) };
}
