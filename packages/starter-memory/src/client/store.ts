import { randomUUID } from "node:crypto";
import { assertRecord, cloneValue, idKey, type P2PId, type P2PRecord } from "@omni/p2p-core/starter";
import { ChangeJournal } from "./journal.ts";
import { Leases } from "./leases.ts";

/** A named set of records in this process, shared by everything that names it. Made by {@link memoryStore}. */
export class MemoryStore {
  readonly name: string;
  #incarnation = randomUUID();
  /** By canonical id, in the order in which the ids first came; a record that is replaced keeps its place. */
  readonly #records = new Map<string, P2PRecord>();
  /** The sequence of the record before the first, as long as the sequences of the others follow from their places. */
  #before = 0;
  /** The sequences by canonical id, once places no longer tell (a record was deleted) or one was asked for by its id. */
  #sequences: Map<string, number> | undefined;
  /** The newest of them. */
  #newest = 0;
  /** From the first follower on. */
  #journal: ChangeJournal | undefined;
  /** Of those who follow into it; no records. */
  readonly leases = new Leases();

  constructor(name: string) {
    this.name = name;
  }

  /** Changes when the store is cleared; another store of this name has another. */
  get incarnation(): string {
    return this.#incarnation;
  }

  get size(): number {
    return this.#records.size;
  }

  /** The sequence of the newest record, 0 before the first. */
  get lastSequence(): number {
    return this.#sequences ? this.#newest : this.#before + this.#records.size;
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
    const record = this.#records.get(idKey(id));
    return record && (cloneValue(record) as P2PRecord);
  }

  has(id: P2PId): boolean {
    return this.holds(idKey(id));
  }

  delete(id: P2PId): boolean {
    return this.remove(idKey(id));
  }

  /** Deletes the record with this canonical id, if there is one. */
  remove(key: string): boolean {
    if (!this.#records.has(key)) return false;
    this.#number().delete(key);
    this.#journal?.note(this.#records.get(key)!.id);
    return this.#records.delete(key);
  }

  /** Copies of all records, in order. */
  records(): P2PRecord[] {
    return Array.from(this.#records.values(), (record) => cloneValue(record) as P2PRecord);
  }

  clear(): void {
    this.#incarnation = randomUUID();
    this.#before = this.lastSequence;
    this.#sequences = undefined;
    this.#records.clear();
    this.#journal?.forget();
  }

  /** Whether there is a record with this canonical id. */
  holds(key: string): boolean {
    return this.#records.has(key);
  }

  /** The record itself with this canonical id: never to be changed, and not to leave the process. */
  find(key: string): P2PRecord | undefined {
    return this.#records.get(key);
  }

  /** Takes a valid record as its own, without a copy. */
  keep(record: P2PRecord, key = idKey(record.id)): void {
    if (this.#sequences && !this.#records.has(key)) this.#sequences.set(key, ++this.#newest);
    this.#records.set(key, record);
    this.#journal?.note(record.id);
  }

  /**
   * The journal of its changes, if one is kept.
   *
   * @param size begins one, or has it keep as many changes.
   */
  journal(size: number): ChangeJournal;
  journal(): ChangeJournal | undefined;
  journal(size?: number): ChangeJournal | undefined {
    if (size === undefined) return this.#journal;
    this.#journal ??= new ChangeJournal(size);
    this.#journal.grow(size);
    return this.#journal;
  }

  /** The records themselves, in order: never to be changed, and not to leave the process. */
  values(): MapIterator<P2PRecord> {
    return this.#records.values();
  }

  /**
   * The sequence of a record that is in the store: it grows in the order of the store, and is never given twice.
   *
   * @param place how many records `values()` gave before it, if nothing was deleted meanwhile.
   */
  sequenceOf(record: P2PRecord, place: number): number {
    return this.#sequences ? this.#sequences.get(idKey(record.id))! : this.#before + place + 1;
  }

  /** The sequence of the record with this canonical id, which is in the store. */
  sequenceOfKey(key: string): number {
    return this.#number().get(key)!;
  }

  #number(): Map<string, number> {
    if (!this.#sequences) {
      this.#newest = this.lastSequence;
      let sequence = this.#before;
      this.#sequences = new Map(Array.from(this.#records.keys(), (key) => [key, ++sequence]));
    }
    return this.#sequences;
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
  const dropped = existingStore(name);
  const wasThere = stores().delete(name);
  dropped?.journal()?.wake();
  return wasThere;
}
