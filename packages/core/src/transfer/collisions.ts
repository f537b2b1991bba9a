import { randomBytes } from "node:crypto";

/** Records of one transfer that had the id of an earlier one, so that the target holds one of each such id. */
export interface IdCollisions {
  /** How many, beyond the first of their id. At least so many where `share` is less than 1. */
  readonly count: number;
  /** The first 20 such ids, as text. */
  readonly ids: readonly string[];
  /**
   * The share of all ids that were looked at, from 0 to 1: all of them up to about 786,000; beyond that a half, a quarter,
   * and so on, drawn by a hash, since what is kept of them is bounded.
   */
  readonly share: number;
}

/** Ids that are listed. */
const LISTED = 20;

/** Characters of an id that are kept. */
const ID_LENGTH = 200;

const FIRST_SLOTS = 1 << 10;

/** Eight mebibytes. */
const MOST_SLOTS = 1 << 20;

/** How full the table may be. */
const LOAD = 0.75;

/**
 * Looks for ids that come twice, in bounded memory: a hash table of 64-bit hashes. When the largest table is full, the hashes
 * of every other id are given up, and so on: what is left is a fair sample of all ids.
 *
 * Source of the idea: P. Flajolet, "On Adaptive Sampling", Computing 43, 1990.
 */
export class CollisionFinder {
  readonly #seeds = new Uint32Array(new Uint8Array(randomBytes(8)).buffer);
  #table = new Uint32Array(FIRST_SLOTS * 2);
  #used = 0;
  /** Hashes are kept whose lower half has none of these bits. */
  #mask = 0;
  #count = 0;
  readonly #ids: string[] = [];
  readonly #most: number;

  /** @param mostSlots a power of two. */
  constructor(mostSlots = MOST_SLOTS) {
    this.#most = mostSlots;
  }

  /** Undefined as long as nothing came twice. */
  get found(): IdCollisions | undefined {
    return this.#count === 0 ? undefined : { count: this.#count, ids: [...this.#ids], share: 1 / (this.#mask + 1) };
  }

  /** @param id the text under which the target keeps it. */
  add(id: string, shown: string): void {
    let high = this.#seeds[0]!;
    let low = this.#seeds[1]!;
    for (let i = 0; i < id.length; i++) {
      const unit = id.charCodeAt(i);
      high = Math.imul(high ^ unit, 2654435761);
      low = Math.imul(low ^ unit, 1597334677);
    }
    // The finish of MurmurHash3 (A. Appleby), each half stirred with the other.
    high = (Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)) >>> 0;
    low = (Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)) >>> 0;
    if ((low & this.#mask) !== 0) return;
    // Nought is a free slot.
    if (this.#has(high === 0 ? 1 : high, low)) {
      this.#count++;
      if (this.#ids.length < LISTED) this.#ids.push(shown.slice(0, ID_LENGTH).toWellFormed());
    }
  }

  /** Whether the hash was there; it is afterwards. */
  #has(high: number, low: number): boolean {
    const table = this.#table;
    const slots = table.length / 2;
    let slot = high & (slots - 1);
    while (table[2 * slot] !== 0) {
      if (table[2 * slot] === high && table[2 * slot + 1] === low) return true;
      slot = (slot + 1) & (slots - 1);
    }
    table[2 * slot] = high;
    table[2 * slot + 1] = low;
    if (++this.#used > slots * LOAD) this.#makeRoom();
    return false;
  }

  #makeRoom(): void {
    const old = this.#table;
    if (old.length / 2 >= this.#most) this.#mask = this.#mask * 2 + 1;
    this.#table = new Uint32Array(Math.min(old.length * 4, this.#most * 2));
    this.#used = 0;
    for (let at = 0; at < old.length; at += 2) {
      const [high, low] = [old[at]!, old[at + 1]!];
      if (high !== 0 && (low & this.#mask) === 0) this.#has(high, low);
    }
  }
}

/** The part of a result that tells of them, with the other notes that there are. */
export function notesOf(
  others: readonly string[] = [],
  collisions: IdCollisions | undefined,
): { readonly collisions?: IdCollisions; readonly notes?: readonly string[] } {
  const notes = collisions ? [...others, collisionNote(collisions)] : [...others];
  return { ...(collisions && { collisions }), ...(notes.length > 0 && { notes }) };
}

function collisionNote({ count, ids, share }: IdCollisions): string {
  const what = count === 1 ? "1 record has" : `${share < 1 ? "At least " : ""}${count} records have`;
  const named = ids
    .slice(0, 5)
    .map((id) => JSON.stringify(id.length > 80 ? `${id.slice(0, 77)}...` : id))
    .join(", ");
  return `${what} the id of another one before, as the target keeps ids, and have taken its place: ${named}${count > 5 ? ", …" : ""}. Compare both sides with verify, or give them ids of their own with a transform`;
}
