import { compareRecords, type JsonValue, matches, type P2PRecord, type ParsedQuery } from "@omni/p2p-core";
import type { MemoryStore } from "./store.ts";

/** A half-open range of sequences: what a cursor and a partition of this store are. */
interface SequenceRange {
  /** Exclusive. */
  readonly after: number;
  /** Inclusive. */
  readonly upTo: number;
}

/** Some of the records that a query gives. */
export interface Taken {
  /** As the store has them. */
  readonly records: P2PRecord[];
  /** For each record the cursor that points after it. */
  readonly cursors: number[];
}

/** The records that a query gives. It is no generator, since one would cost more than the records do. */
export interface Selection {
  /** The next records, at most so many; none at the end. */
  take(most: number): Taken;
}

/** @param after the cursor to go on from. */
export function select(store: MemoryStore, query: ParsedQuery, after: JsonValue | undefined): Selection {
  const from = typeof after === "number" ? after : undefined;
  const selection = query.orderBy.length > 0 ? sorted(store, query, from) : new InOrder(store, query, from);
  if (from === undefined && query.offset > 0) selection.take(query.offset);
  return query.limit === Number.POSITIVE_INFINITY ? selection : limited(selection, query.limit);
}

/** The matching records in the order of the store; a cursor is the sequence of a record. */
class InOrder implements Selection {
  readonly #store: MemoryStore;
  readonly #conditions: ParsedQuery["conditions"];
  readonly #values: MapIterator<P2PRecord>;
  readonly #after: number;
  readonly #upTo: number;
  #place = 0;

  constructor(store: MemoryStore, query: ParsedQuery, from = 0) {
    const range = (query.partition ?? { after: 0, upTo: Number.MAX_SAFE_INTEGER }) as unknown as SequenceRange;
    this.#store = store;
    this.#conditions = query.conditions;
    this.#values = store.values();
    this.#after = Math.max(range.after, from);
    // What is added while this read goes on is not part of it: a store that is copied into itself must come to an end.
    this.#upTo = Math.min(range.upTo, store.lastSequence);
  }

  take(most: number): Taken {
    const records: P2PRecord[] = [];
    const cursors: number[] = [];
    if (most === 0) return { records, cursors };
    for (const record of this.#values) {
      const sequence = this.#store.sequenceOf(record, this.#place++);
      if (sequence <= this.#after) continue;
      if (sequence > this.#upTo) break;
      if (this.#conditions.length > 0 && !matches(this.#conditions, record)) continue;
      cursors.push(sequence);
      if (records.push(record) >= most) break;
    }
    return { records, cursors };
  }
}

/** The matching records by the order of the query. There is no sequence to go by, so a cursor is a rank. */
function sorted(store: MemoryStore, query: ParsedQuery, from = 0): Selection {
  const { records } = new InOrder(store, query).take(Number.POSITIVE_INFINITY);
  records.sort((a, b) => compareRecords(query.orderBy, a, b));
  let rank = from;
  return {
    take(most) {
      const next = records.slice(rank, rank + most);
      return { records: next, cursors: next.map(() => ++rank) };
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
