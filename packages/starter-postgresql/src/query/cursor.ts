/** Cursors: the position of a row in the order of its key, by the key's cells in the server's text form. */
import { cursorPosition, foreignCursor, foreignPartition, type JsonValue, P2PError } from "@omni/p2p-core/starter";
import { sqlState } from "../client/errors.ts";
import type { Cell } from "../client/session.ts";
import type { Table } from "../client/table.ts";
import { STORE } from "../types.ts";

export function encodePosition(key: readonly Cell[]): JsonValue {
  return { key: [...key] };
}

/** The position in a cursor of this store. @throws P2PError `CHECKPOINT_INVALID` */
export function ownPosition(cursor: JsonValue): JsonValue {
  const position = cursorPosition(STORE, cursor);
  // There never were cursors without the mark.
  if (position === cursor) throw foreignCursor(STORE);
  return position;
}

/** The cells of a position; `undefined` where it is none of this table. */
export function decodePosition(table: Table, saved: JsonValue | undefined): string[] | undefined {
  const { key } = (typeof saved === "object" && saved !== null ? saved : {}) as { readonly key?: JsonValue };
  if (!Array.isArray(key) || key.length !== table.key.columns.length) return undefined;
  const cells = key as readonly JsonValue[];
  return cells.every((cell) => typeof cell === "string" && !cell.includes("\0")) ? (cells as string[]) : undefined;
}

/** What the cells of a statement's bounds may be wrong in. */
export interface Bounds {
  readonly after: readonly string[] | undefined;
  readonly part: { readonly after: readonly string[] | undefined; readonly upTo: readonly string[] | undefined };
}

/** What an error of the first statement means where its bounds are none of the key's types: they are of another table. */
export function boundsError(error: unknown, { after, part }: Bounds): unknown {
  const isCast = error instanceof P2PError && /^22(?!012)/.test(sqlState(error.cause) ?? "");
  if (!isCast) return error;
  if (after !== undefined) return foreignCursor(STORE);
  return part.after === undefined && part.upTo === undefined ? error : foreignPartition(STORE);
}
