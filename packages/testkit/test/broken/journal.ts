/** A feed of changes for the reference adapter: a journal of ids, to be broken in one way or another. */
import { randomUUID } from "node:crypto";
import {
  type ChangeBatch,
  type ChangeFeed,
  type ChangeReadOptions,
  cursorPosition,
  foreignCursor,
  type JsonValue,
  type P2PDataTransferService,
  type P2PId,
  sleep,
  storeCursor,
} from "@omni/p2p-core/starter";
import { type AdapterUnderTest, referenceAdapter } from "../../src/index.ts";
import type { Replaced } from "./sabotage.ts";

const STORE = "reference";

/** The changes of one place. */
export class Journal {
  readonly token = randomUUID();
  readonly ids: P2PId[] = [];
  /** When each id changed last, by the clock of `performance`. */
  readonly changedAt = new Map<P2PId, number>();

  readonly #waiting = new Set<AbortController>();

  note(ids: Iterable<P2PId>): void {
    for (const id of ids) {
      this.ids.push(id);
      this.changedAt.set(id, performance.now());
    }
    for (const over of this.#waiting) over.abort();
  }

  cursor(at: number): JsonValue {
    return storeCursor(STORE, { journal: this.token, at });
  }

  /** The place of a cursor of this journal. */
  place(cursor: JsonValue): number {
    const { journal, at } = (cursorPosition(STORE, cursor) ?? {}) as { journal?: JsonValue; at?: JsonValue };
    if (journal !== this.token || !Number.isSafeInteger(at)) throw foreignCursor(STORE);
    return at as number;
  }

  /** Waits until there is more than so much, but no longer than so many ms. */
  async more(than: number, maxWaitMs: number, signal: AbortSignal): Promise<void> {
    if (this.ids.length > than) return;
    const over = new AbortController();
    this.#waiting.add(over);
    try {
      await sleep(maxWaitMs, AbortSignal.any([signal, over.signal])).catch(() => {});
      signal.throwIfAborted();
    } finally {
      this.#waiting.delete(over);
    }
  }
}

/** What is broken, in a feed or in what stands around it. */
export interface Breakage {
  readonly feed?: (feed: ChangeFeed, journal: Journal) => Partial<ChangeFeed>;
  readonly service?: (service: P2PDataTransferService, journal: Journal) => Replaced;
  /** What the journal is told of. Default: everything. */
  readonly noted?: (ids: readonly P2PId[], how: "write" | "delete" | "other", journal: Journal) => readonly P2PId[];
  /** What is still kept after the feed was turned off. */
  readonly keptWhenOff?: boolean;
}

/** The reference adapter with a feed. */
export function feedAdapter({
  feed: spoil,
  service: spoilService,
  noted,
  keptWhenOff,
}: Breakage = {}): AdapterUnderTest {
  const { starter, createEndpoint } = referenceAdapter();
  const journals = new Map<string, Journal>();
  const journalOf = (name: string): Journal => {
    const journal = journals.get(name) ?? new Journal();
    journals.set(name, journal);
    return journal;
  };
  const note = (journal: Journal, ids: readonly P2PId[], how: "write" | "delete" | "other") =>
    journal.note(noted ? noted(ids, how, journal) : ids);
  let isOn = false;
  const status = async () => ({
    ...{ state: isOn ? ("on" as const) : ("off" as const), detail: "A journal in the process", warnings: [] },
    kept: keptWhenOff ? [{ name: "leftover" }] : [],
  });
  return {
    async createEndpoint() {
      const place = await createEndpoint();
      const { database } = place.endpoint as { database: string };
      const others = (ids: readonly P2PId[]) => note(journalOf(database), ids, "other");
      return {
        ...place,
        async deleteRecords(ids) {
          await place.deleteRecords!(ids);
          others(ids);
        },
        changeRecord: async (id) => others([id]),
      };
    },
    starter: {
      ...starter,
      changes: {
        status,
        async enable() {
          isOn = true;
          return status();
        },
        async disable() {
          isOn = false;
          return status();
        },
      },
      async open(endpoint, context) {
        const service = await starter.open(endpoint, context);
        const journal = journalOf(endpoint.database ?? "");
        const feed: ChangeFeed = {
          async now(_follower, signal) {
            signal.throwIfAborted();
            return journal.cursor(journal.ids.length);
          },
          read: (options) => readJournal(journal, options),
        };
        return {
          ...service,
          capabilities: { ...service.capabilities, changes: true },
          changes: { ...feed, ...spoil?.(feed, journal) },
          async writeToTarget(records, options) {
            const result = await service.writeToTarget(records, options);
            note(
              journal,
              records.map(({ id }) => id),
              "write",
            );
            return result;
          },
          async deleteFromTarget(refs, options) {
            const result = await service.deleteFromTarget!(refs, options);
            note(
              journal,
              refs.map(({ id }) => id),
              "delete",
            );
            return result;
          },
          ...spoilService?.(service, journal),
        };
      },
    },
  };
}

/** Changes told in one batch: few of them, unless there are very many. */
const BATCH = 10;
const LARGE_BATCH = 1000;

export async function* readJournal(journal: Journal, options: ChangeReadOptions): AsyncGenerator<ChangeBatch> {
  const { after, maxWaitMs, signal } = options;
  signal.throwIfAborted();
  for (let at = journal.place(after); ; ) {
    await journal.more(at, maxWaitMs, signal);
    signal.throwIfAborted();
    const ids = journal.ids.slice(at, at + (journal.ids.length - at > LARGE_BATCH ? LARGE_BATCH : BATCH));
    at += ids.length;
    yield { refs: ids.map((id) => ({ id })), cursor: journal.cursor(at) };
  }
}
