import { messageOf, type P2PId, unlessAborted } from "@omni/p2p-core/starter";
import type { AnyBulkWriteOperation, Document, WriteError } from "mongodb";
import { isSpoiled } from "../client/errors.ts";
import type { OpenCollection } from "../query/open-collection.ts";

/** A record on its way, or an id to delete. */
export interface Item {
  /** Its index in what the caller gave. */
  readonly index: number;
  readonly id: P2PId;
}

/** One item's refusal by the server. */
export interface Refusal<T extends Item> {
  readonly item: T;
  readonly code: unknown;
  readonly reason: string;
}

/** What became of one bulk write. */
export interface Outcome<T extends Item> {
  readonly refusals: readonly Refusal<T>[];
  /** Records that a replacement found absent. */
  readonly upserted: number;
  readonly deleted: number;
}

/** How a bulk write is sent. */
export interface BulkSettings {
  /** Whether the server tells the refused ones by their index and goes on with the others. */
  readonly named: boolean;
  readonly signal: AbortSignal;
}

/** An unordered bulk write with one operation for each item. Where a single one spoils it, it is halved until that one is found. */
export async function bulkWrite<T extends Item>(
  opened: OpenCollection,
  items: readonly T[],
  toOperation: (item: T) => AnyBulkWriteOperation<Document>,
  settings: BulkSettings,
): Promise<Outcome<T>> {
  const { named, signal } = settings;
  if (items.length === 0) return { refusals: [], upserted: 0, deleted: 0 };
  try {
    const bulk = opened.collection.bulkWrite(items.map(toOperation), { ordered: false });
    const { upsertedCount, deletedCount } = await unlessAborted(bulk, signal);
    return { refusals: [], upserted: upsertedCount, deleted: deletedCount };
  } catch (error) {
    signal.throwIfAborted();
    const refused = writeErrorsOf(error);
    const { code, deletedCount: deleted = 0 } = error as { readonly code?: unknown; readonly deletedCount?: number };
    if (refused.length > 0 && (named || items.length === 1)) {
      const refusals = refused.map(({ index, code, errmsg }) => ({ item: items[index]!, code, reason: errmsg ?? "" }));
      return { refusals, upserted: 0, deleted };
    }
    if (refused.length === 0 && !isSpoiled(error)) throw error;
    if (items.length === 1) {
      return { refusals: [{ item: items[0]!, code, reason: messageOf(error) }], upserted: 0, deleted };
    }
    // Somewhere among them is what spoils the whole command.
    const half = items.length >> 1;
    const first = await bulkWrite(opened, items.slice(0, half), toOperation, settings);
    const second = await bulkWrite(opened, items.slice(half), toOperation, settings);
    return {
      refusals: [...first.refusals, ...second.refusals],
      upserted: first.upserted + second.upserted,
      deleted: deleted + first.deleted + second.deleted,
    };
  }
}

/** The single refusals in an error of a bulk write. */
function writeErrorsOf(error: unknown): readonly WriteError[] {
  const { writeErrors } = error as { readonly writeErrors?: WriteError | readonly WriteError[] };
  return writeErrors === undefined ? [] : [writeErrors].flat();
}
