/** Positions of the feed: a place in the server's log, and which table was told of there. */
import { cursorPosition, foreignCursor, type JsonValue, storeCursor } from "@omni/p2p-core/starter";
import { STORE } from "../types.ts";
import { lsnText, parseLsn } from "./lsn.ts";

/** Where a follower stands. */
export interface Position {
  /** Everything that was committed before it is settled, or was there from the beginning. */
  readonly lsn: bigint;
  /** The table's oid. */
  readonly table: number;
  /** What would change if the table could have changed without being told of: see `PublishedTable.mark`. */
  readonly mark: string;
}

export function positionCursor({ lsn, table, mark }: Position): JsonValue {
  return storeCursor(STORE, { lsn: lsnText(lsn), table, mark });
}

/** @throws P2PError `CHECKPOINT_INVALID` where it is no position of this feed. */
export function parsePosition(cursor: JsonValue): Position {
  const { lsn, table, mark } = (cursorPosition(STORE, cursor) ?? {}) as { readonly [part: string]: JsonValue };
  const number = typeof lsn === "string" ? parseLsn(lsn) : undefined;
  if (number === undefined || typeof table !== "number" || typeof mark !== "string") throw foreignCursor(STORE);
  return { lsn: number, table, mark };
}
