import { type Key, sameKey } from "./keys.ts";

/** Keys of late with their hashes, in an open-addressed table that is at most half full. */
class Generation {
  readonly #keys: Key[] = [];
  readonly #hashes: Uint32Array;
  /** For each place in the table the number of a key, from 1 on; 0 where there is none. */
  readonly #table: Uint32Array;

  constructor(size: number) {
    this.#hashes = new Uint32Array(size);
    this.#table = new Uint32Array(2 ** Math.ceil(Math.log2(size * 2)));
  }

  get size(): number {
    return this.#keys.length;
  }

  has(key: Key, hash: number): boolean {
    return this.#table[this.#placeOf(key, hash)] !== 0;
  }

  add(key: Key, hash: number): void {
    this.#hashes[this.#keys.length] = hash;
    this.#table[this.#placeOf(key, hash)] = this.#keys.push(key);
  }

  clear(): void {
    this.#keys.length = 0;
    this.#table.fill(0);
  }

  /** Where the key is in the table, or where it belongs. */
  #placeOf(key: Key, hash: number): number {
    const mask = this.#table.length - 1;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const number = this.#table[place]!;
      if (number === 0) return place;
      if (this.#hashes[number - 1] === hash && sameKey(this.#keys[number - 1]!, key)) return place;
    }
  }
}

/**
 * Keys seen of late. SCAN repeats a key only when its table has shrunk, and then only keys that came just before: those
 * whose old places fall together with the place of the cursor, which are as many as the table has shrunk by times. So a
 * window of fixed size does what a set of all keys would. A `Set` would do as well, but takes five times as long.
 */
export class RecentKeys {
  #newer: Generation;
  #older: Generation;
  readonly #size: number;

  /** @param size keys that are remembered at least */
  constructor(size: number) {
    this.#size = size;
    this.#newer = new Generation(size);
    this.#older = new Generation(size);
  }

  /** Whether the key is new; it is not any more then. */
  add(key: Key, hash: number): boolean {
    if (this.#older.has(key, hash) || this.#newer.has(key, hash)) return false;
    this.#newer.add(key, hash);
    if (this.#newer.size === this.#size) {
      [this.#newer, this.#older] = [this.#older, this.#newer];
      this.#newer.clear();
    }
    return true;
  }
}
