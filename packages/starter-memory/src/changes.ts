/** Change data capture: a bounded journal in the store itself, which tells of every change from the first follower on. */
import {
  type ChangeBatch,
  type ChangeFeed,
  type ChangeReadOptions,
  cursorPosition,
  foreignCursor,
  type JsonValue,
  P2PError,
  storeCursor,
  Yielder,
} from "@omni/p2p-core/starter";
import type { ChangeJournal } from "./client/journal.ts";
import { existingStore, type MemoryStore } from "./client/store.ts";
import { STORE } from "./query/query.ts";

/** Changes told in one batch. */
const BATCH = 1000;

/**
 * The feed of a store.
 *
 * @param size changes that its journal keeps.
 */
export function memoryChanges(store: MemoryStore, size: number): ChangeFeed {
  return {
    async now(_follower, signal) {
      signal.throwIfAborted();
      assertThere(store);
      const journal = store.journal(size);
      return cursorAt(journal, journal.position);
    },
    read: (options) => readChanges(store, options),
  };
}

async function* readChanges(store: MemoryStore, options: ChangeReadOptions): AsyncGenerator<ChangeBatch> {
  const { after, maxWaitMs, signal } = options;
  signal.throwIfAborted();
  const { token, change } = positionOf(after);
  const journal = store.journal();
  if (journal?.token !== token) throw lost(store, "the store was made anew, or is another process's");
  if (change > journal.position) throw foreignCursor(STORE);
  const yielder = new Yielder();
  assertThere(store);
  for (let at = change; ; ) {
    const ids = journal.after(at, BATCH);
    if (ids === undefined) throw lost(store, "it has had more changes since than its journal keeps, or was cleared");
    if (ids.length === 0) {
      await journal.next(maxWaitMs, signal);
      signal.throwIfAborted();
      assertThere(store);
      if (journal.position > at) continue;
    }
    at += ids.length;
    const { newestAt } = journal;
    yield {
      refs: ids.map((id) => ({ id })),
      cursor: cursorAt(journal, at),
      ...(ids.length > 0 && newestAt && { committedAt: newestAt }),
    };
    signal.throwIfAborted();
    await yielder.yieldIfDue();
  }
}

/** The store may have been dropped, and another of its name made. */
function assertThere(store: MemoryStore): void {
  const there = existingStore(store.name);
  if (there === store) return;
  throw there === undefined
    ? new P2PError("SOURCE_NOT_FOUND", `The memory store "${store.name}" was dropped`)
    : new P2PError("STORE_CHANGED", `The memory store "${store.name}" was dropped and made anew`);
}

function lost(store: MemoryStore, why: string): P2PError {
  return new P2PError(
    "CHANGES_LOST",
    `The changes of the memory store "${store.name}" after this position can no longer be told: ${why}. Take a new position and mirror; ` +
      "a longer journal is the option `journal`",
  );
}

function cursorAt(journal: ChangeJournal, change: number): JsonValue {
  return storeCursor(STORE, { journal: journal.token, change });
}

function positionOf(cursor: JsonValue): { readonly token: string; readonly change: number } {
  const { journal: token, change } = (cursorPosition(STORE, cursor) ?? {}) as Readonly<Record<string, JsonValue>>;
  if (typeof token !== "string" || !Number.isSafeInteger(change) || (change as number) < 0) throw foreignCursor(STORE);
  return { token, change: change as number };
}
