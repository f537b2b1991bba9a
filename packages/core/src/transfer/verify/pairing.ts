/** A streaming join of two sides that come in about the same order: records that are equal on both cancel each other, unhashed. */
import { unlessAborted } from "../../async/abort.ts";
import { endsWithin } from "../../async/deadline.ts";
import { idKey, type P2PRecord } from "../../model/record.ts";
import { valuesEqual } from "../../model/value-tree.ts";

/** The two sides, in the order in which they are compared. */
export type PairedSide = 0 | 1;

/** Most records of a side that wait for their like, and most bytes, roughly. */
const MOST_WAITING = 10_000;
const MOST_BYTES = 16 * 1024 * 1024;

/** Records that waited in vain, from which on it is asked whether the two sides have an order in common at all. */
const TRIED = 2 * MOST_WAITING;

/**
 * How long a side waits for the other, in ms. Both may be one store that serves one reader at a time; then the one would
 * wait for ever for what the other does not get.
 */
const PATIENCE_MS = 10_000;

/** Records of a side that have not met their like. */
class Waiting {
  /** As they came; only while nothing has come otherwise than on the other side. */
  #row: P2PRecord[] = [];
  #at = 0;
  /** By id, the oldest first. */
  readonly #byId = new Map<string, { readonly record: P2PRecord; readonly bytes: number }>();
  #bytes = 0;
  ended = false;

  get size(): number {
    return this.#row.length - this.#at + this.#byId.size;
  }

  /** Whether some wait by id. */
  get isScattered(): boolean {
    return this.#byId.size > 0;
  }

  get isOverfull(): boolean {
    return this.size > MOST_WAITING || this.#bytes > MOST_BYTES;
  }

  get first(): P2PRecord | undefined {
    return this.#row[this.#at];
  }

  /** @param bytes of each. */
  append(records: readonly P2PRecord[], bytes: number): void {
    this.#row = this.#row.slice(this.#at).concat(records);
    this.#at = 0;
    this.#bytes = this.#row.length * bytes;
  }

  dropFirst(): void {
    this.#at++;
    if (this.#at < this.#row.length) return;
    this.#row = [];
    this.#at = 0;
    this.#bytes = 0;
  }

  /** @returns whether there is room for it: not for a second one of its id. */
  set(key: string, record: P2PRecord, bytes: number): boolean {
    if (this.#byId.has(key)) return false;
    this.#byId.set(key, { record, bytes });
    this.#bytes += bytes;
    return true;
  }

  /** The record of this id, which waits no longer. */
  take(key: string): P2PRecord | undefined {
    const found = this.#byId.get(key);
    if (found === undefined) return undefined;
    this.#byId.delete(key);
    this.#bytes -= found.bytes;
    return found.record;
  }

  /** Those that have waited longest by id, until there is room: one walk, since each new one would pass all that were taken. */
  *takeSurplus(): Generator<P2PRecord> {
    for (const key of this.#byId.keys()) {
      if (!this.isOverfull) return;
      yield this.take(key)!;
    }
  }

  /** Lets those that wait as they came wait by id. @returns those that cannot, since their id came twice. */
  scatter(): P2PRecord[] {
    const row = this.#row.slice(this.#at);
    const each = row.length === 0 ? 0 : this.#bytes / row.length;
    this.#row = [];
    this.#at = 0;
    if (row.length > 0) this.#bytes = 0;
    return row.filter((record) => !this.set(idKey(record.id), record, each));
  }

  /** All, none of which waits any longer. */
  takeAll(): P2PRecord[] {
    const all = [...this.#row.slice(this.#at), ...[...this.#byId.values()].map(({ record }) => record)];
    this.#row = [];
    this.#at = 0;
    this.#byId.clear();
    this.#bytes = 0;
    return all;
  }
}

/**
 * Joins two sides by id while they are read, within bounded memory. Copies are mostly read in the order of what they were
 * copied from; then nearly all records meet their like at once, and comparing two records takes a fraction of what hashing
 * them does. Equal ones need not be hashed: they would add the same to the digests of either side. All others are kept, and
 * so is what waited too long. Where most wait in vain, it gives up, and all is kept as it comes.
 */
export class Pairing {
  readonly #sides = [new Waiting(), new Waiting()] as const;
  readonly #same: (source: P2PRecord, target: P2PRecord) => boolean;
  readonly #keep: (side: PairedSide, record: P2PRecord) => void;
  readonly #signal: AbortSignal;
  readonly #patienceMs: number;
  #moved = Promise.withResolvers<void>();
  #vain = 0;
  #patient = true;
  #over = false;
  #isVain = false;
  /** Records that were found equal on both sides. */
  pairs = 0;

  /** @param keep takes the records that have no equal, or none that was found. */
  constructor(
    same: (source: P2PRecord, target: P2PRecord) => boolean,
    keep: (side: PairedSide, record: P2PRecord) => void,
    signal: AbortSignal,
    patienceMs = PATIENCE_MS,
  ) {
    this.#patienceMs = patienceMs;
    this.#same = same;
    this.#keep = keep;
    this.#signal = signal;
  }

  /** Whether it gave up since the two sides have no order in common. */
  get isVain(): boolean {
    return this.#isVain;
  }

  /** Takes what came on a side. @param bytes of each, roughly. */
  add(side: PairedSide, records: readonly P2PRecord[], bytes: number): void {
    const own = this.#sides[side];
    const other = this.#sides[1 - side]!;
    if (other.ended && other.size === 0) this.#giveUp();
    if (this.#over) {
      for (const record of records) this.#keep(side, record);
      return;
    }
    const from = own.isScattered || other.isScattered ? 0 : this.#inRow(side, records, bytes);
    for (let at = from; at < records.length; at++) this.#byId(side, records[at]!, bytes);
    if (own.isOverfull) this.#trim(side);
    this.#notify();
  }

  /** Waits while this side is ahead of the other, but not for ever: who has waited in vain once waits no more. */
  async turn(side: PairedSide): Promise<void> {
    const own = this.#sides[side];
    const other = this.#sides[1 - side]!;
    while (!this.#over && this.#patient && !other.ended && own.size > other.size) {
      const moved = this.#moved.promise;
      this.#patient = await unlessAborted(endsWithin(moved, this.#patienceMs), this.#signal);
    }
  }

  /** A side has been read to its end. */
  end(side: PairedSide): void {
    this.#sides[side].ended = true;
    if (this.#sides.every(({ ended }) => ended)) this.#giveUp();
    this.#notify();
  }

  /** Pairs records with those that wait as they came. @returns the place of the first that has come otherwise. */
  #inRow(side: PairedSide, records: readonly P2PRecord[], bytes: number): number {
    const own = this.#sides[side];
    const other = this.#sides[1 - side]!;
    let at = 0;
    for (; at < records.length; at++) {
      const [ours, theirs] = [records[at]!, other.first];
      if (theirs === undefined) {
        own.append(at === 0 ? records : records.slice(at), bytes);
        return records.length;
      }
      if (ours.id !== theirs.id && idKey(ours.id) !== idKey(theirs.id)) break;
      other.dropFirst();
      this.#pair(side, ours, theirs);
    }
    if (at < records.length) for (const record of other.scatter()) this.#keep((1 - side) as PairedSide, record);
    return at;
  }

  #byId(side: PairedSide, record: P2PRecord, bytes: number): void {
    const key = idKey(record.id);
    const like = this.#sides[1 - side]!.take(key);
    if (like !== undefined) this.#pair(side, record, like);
    else if (!this.#sides[side].set(key, record, bytes)) this.#keep(side, record);
  }

  #pair(side: PairedSide, ours: P2PRecord, theirs: P2PRecord): void {
    if (side === 0 ? this.#same(ours, theirs) : this.#same(theirs, ours)) {
      this.pairs++;
      return;
    }
    this.#keep(side, ours);
    this.#keep((1 - side) as PairedSide, theirs);
  }

  #trim(side: PairedSide): void {
    const own = this.#sides[side];
    for (const record of own.scatter()) this.#keep(side, record);
    for (const oldest of own.takeSurplus()) {
      this.#keep(side, oldest);
      this.#vain++;
    }
    if (this.#vain > TRIED && this.#vain > this.pairs) {
      this.#isVain = true;
      this.#giveUp();
    }
  }

  #giveUp(): void {
    this.#over = true;
    for (const side of [0, 1] as const) for (const record of this.#sides[side].takeAll()) this.#keep(side, record);
  }

  #notify(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }
}

/** {@link valuesEqual} for records, quick where both have the same fields in the same order. */
export function sameRecord(a: P2PRecord, b: P2PRecord): boolean {
  const [names, others] = [Object.keys(a), Object.keys(b)];
  if (names.length !== others.length) return valuesEqual(a, b);
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (name !== others[i]) return valuesEqual(a, b);
    const [left, right] = [a[name], b[name]];
    if (left !== right && !valuesEqual(left, right)) return false;
    // The one pair that === takes for equal and that is not: 0 and -0.
    if (left === 0 && !Object.is(left, right)) return false;
  }
  return true;
}
