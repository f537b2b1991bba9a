import {
  compareRecords,
  cursorPosition,
  foreignCursor,
  type JsonValue,
  matches,
  type P2PRecord,
  type ParsedQuery,
  recordAt,
  sortPosition,
  storeCursor,
} from "@omni/p2p-core/starter";
import type { MemoryStore } from "../client/store.ts";
import { rangeOf, STORE } from "../query/query.ts";

/** Some of the records that a query gives. */
export interface Taken {
  /** As the store has them. */
  readonly records: P2PRecord[];
  /** The cursor that points after the record at this place. */
  cursorAfter(place: number): JsonValue;
}

/** The records that a query gives. It is no generator, since one would cost more than the records do. */
export interface Selection {
  /** The next records, at most so many; none at the end. */
  take(most: number): Taken;
}

/**
 * @param after the cursor to go on from.
 * @throws P2PError `CHECKPOINT_INVALID` when it is not one of a memory store and such a query.
 */
export function select(store: MemoryStore, query: ParsedQuery, after: JsonValue | undefined): Selection {
  const from = after === undefined ? undefined : cursorPosition(STORE, after);
  const selection = query.orderBy.length > 0 ? sorted(store, query, from) : new InOrder(store, query, sequenceAt(from));
  if (from === undefined && query.offset > 0) selection.take(query.offset);
  return query.limit === Number.POSITIVE_INFINITY ? selection : limited(selection, query.limit);
}

function sequenceAt(position: JsonValue | undefined): number {
  if (position === undefined) return 0;
  if (!isSequence(position)) throw foreignCursor(STORE);
  return position.sequence;
}

function isSequence(position: JsonValue): position is { readonly sequence: number } {
  return Number.isSafeInteger((position as { readonly sequence?: unknown } | null)?.sequence);
}

/** The matching records in the order of the store; a cursor is the sequence of a record. */
class InOrder implements Selection {
  readonly #store: MemoryStore;
  readonly #conditions: ParsedQuery["conditions"];
  readonly #values: MapIterator<P2PRecord>;
  readonly #after: number;
  readonly #upTo: number;
  #place = 0;

  constructor(store: MemoryStore, query: ParsedQuery, from: number) {
    const range = rangeOf(query);
    this.#store = store;
    this.#conditions = query.conditions;
    this.#values = store.values();
    this.#after = Math.max(range.after, from);
    // What is added while this read goes on is not part of it: a store that is copied into itself must come to an end.
    this.#upTo = Math.min(range.upTo, store.lastSequence);
  }

  take(most: number): Taken {
    const records: P2PRecord[] = [];
    const sequences: number[] = [];
    const cursorAfter = (place: number) => storeCursor(STORE, { sequence: sequences[place]! });
    if (most === 0) return { records, cursorAfter };
    for (const record of this.#values) {
      const sequence = this.#store.sequenceOf(record, this.#place++);
      if (sequence <= this.#after) continue;
      if (sequence > this.#upTo) break;
      if (this.#conditions.length > 0 && !matches(this.#conditions, record)) continue;
      sequences.push(sequence);
      if (records.push(record) >= most) break;
    }
    return { records, cursorAfter };
  }
}

/** The matching records by the order of the query. A cursor is the place in that order: what the last record is sorted by. */
function sorted(store: MemoryStore, query: ParsedQuery, from: JsonValue | undefined): Selection {
  const { orderBy } = query;
  const last = from === undefined ? undefined : recordAt(STORE, orderBy, from);
  const { records } = new InOrder(store, query, 0).take(Number.POSITIVE_INFINITY);
  const left = last === undefined ? records : records.filter((record) => compareRecords(orderBy, record, last) > 0);
  left.sort((a, b) => compareRecords(orderBy, a, b));
  let read = 0;
  return {
    take(most) {
      const next = left.slice(read, read + most);
      read += next.length;
      return { records: next, cursorAfter: (place) => storeCursor(STORE, sortPosition(orderBy, next[place]!)) };
    },
  };
}

function limited(selection: Selection, limit: number): Selection {
  let left = limit;
  return {
    take(most) {
      const taken = selection.take(Math.min(most, left));
      left -= taken.records.length;
      return taken;
    },
  };
}
