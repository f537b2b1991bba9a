import { assertRecord, cloneValue, idKey, type P2PId, type P2PRecord } from "@omni/p2p-core";

/** A record with its place in the order of the store. */
export interface MemoryEntry {
  /** Grows with every new record; a record that is replaced keeps its own. */
  readonly sequence: number;
  readonly record: P2PRecord;
}

/** A named set of records in this process, shared by everything that names it. Made by {@link memoryStore}. */
export class MemoryStore {
  readonly name: string;
  /** By canonical id, in the order of insertion, which is the order of `sequence`. */
  readonly entries = new Map<string, MemoryEntry>();
  #nextSequence = 1;

  constructor(name: string) {
    this.name = name;
  }

  get size(): number {
    return this.entries.size;
  }

  /** The sequence of the newest record, 0 before the first. */
  get lastSequence(): number {
    return this.#nextSequence - 1;
  }

  /**
   * Adds a copy of the record, or replaces the one with its id.
   *
   * @throws P2PError `INVALID_RECORD`
   */
  put(record: P2PRecord): void {
    assertRecord(record);
    this.keep(cloneValue(record) as P2PRecord);
  }

  /** A copy of the record with this id, if there is one. */
  get(id: P2PId): P2PRecord | undefined {
    const entry = this.entries.get(idKey(id));
    return entry && (cloneValue(entry.record) as P2PRecord);
  }

  has(id: P2PId): boolean {
    return this.entries.has(idKey(id));
  }

  delete(id: P2PId): boolean {
    return this.entries.delete(idKey(id));
  }

  /** Copies of all records, in order. */
  records(): P2PRecord[] {
    return Array.from(this.entries.values(), ({ record }) => cloneValue(record) as P2PRecord);
  }

  clear(): void {
    this.entries.clear();
  }

  /** Takes a valid record as its own, without a copy. */
  keep(record: P2PRecord, key = idKey(record.id)): void {
    const sequence = this.entries.get(key)?.sequence ?? this.#nextSequence++;
    this.entries.set(key, { sequence, record });
  }
}

const shared = Symbol.for("@omni/p2p-starter-memory/stores");

/** All stores of the process, shared by every copy of this package in it. */
function stores(): Map<string, MemoryStore> {
  const holder = globalThis as { [shared]?: Map<string, MemoryStore> };
  holder[shared] ??= new Map();
  return holder[shared];
}

/**
 * The store of this name, made when there is none: what `memory:<name>` endpoints read and write.
 *
 * @example
 * ```ts
 * memoryStore("scratch").put({ id: 1, title: "first" });
 * await manager.establish("memory:scratch", "sqlite:./out.db?table=docs");
 * ```
 */
export function memoryStore(name: string): MemoryStore {
  const store = existingStore(name) ?? new MemoryStore(name);
  stores().set(name, store);
  return store;
}

/** All stores of the process, by the order in which they were made. */
export function memoryStores(): MemoryStore[] {
  return [...stores().values()];
}

/** The store of this name, if there is one. */
export function existingStore(name: string): MemoryStore | undefined {
  return stores().get(name);
}

/** Forgets the store of this name; what holds it still can use it. */
export function dropMemoryStore(name: string): boolean {
  return stores().delete(name);
}
