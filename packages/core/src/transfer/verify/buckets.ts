/** Hash buckets: keyed fingerprints of records, summed so that equal sides are told in bounded memory. */
import type { Fingerprint } from "./fingerprint.ts";

/** Buckets over which ids are spread: 2^14, so that the digests of a side take under a megabyte. */
const BUCKETS = 1 << 14;

/** The bucket of an id, in one of several tables. */
export function bucketOf(spread: Uint32Array, table = 0): number {
  return spread[table]! & (BUCKETS - 1);
}

/** Sums kept of a bucket, each of 32 bits. */
const LANES = 4;

/** Bytes of a bucket in {@link BucketDigests.bytes}. */
const BUCKET_BYTES = 4 + LANES * 4;

/**
 * For each bucket the number of records and the sum of 128 bits of their keyed hashes, as four sums of 32: equal in
 * whatever order the records came.
 *
 * What that is worth: two sides that differ, and whose records were chosen without knowledge of this comparison's key, have
 * equal digests with a probability of about 2^-128. (A record that is there 2^k times more on one side counts with k
 * bits less of each sum.) It does not help against a store that answers this comparison otherwise than its other
 * readers, nor against who reads the key out of this process and changes records meanwhile.
 */
export class BucketDigests {
  readonly #counts = new Uint32Array(BUCKETS);
  readonly #sums = new Uint32Array(BUCKETS * LANES);
  readonly #unsure = new Set<number>();
  readonly #table: number;
  count = 0;

  /** @param table by which bits of the ids' hashes they are spread: 0, 1 or 2. */
  constructor(table = 0) {
    this.#table = table;
  }

  /** For each bucket five numbers of 32 bits, the least significant byte first: how many records, and their sums. */
  bytes(): Uint8Array {
    const view = new DataView(new ArrayBuffer(BUCKETS * BUCKET_BYTES));
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      view.setUint32(bucket * BUCKET_BYTES, this.#counts[bucket]!, true);
      for (let lane = 0; lane < LANES; lane++) {
        view.setUint32(bucket * BUCKET_BYTES + 4 + lane * 4, this.#sums[bucket * LANES + lane]!, true);
      }
    }
    return new Uint8Array(view.buffer);
  }

  /** @throws RangeError when it is not as long as {@link bytes} gives it. */
  static fromBytes(bytes: Uint8Array, table: number): BucketDigests {
    if (bytes.length !== BUCKETS * BUCKET_BYTES) throw new RangeError(`${bytes.length} bytes are no digests`);
    const digests = new BucketDigests(table);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = view.getUint32(bucket * BUCKET_BYTES, true);
      digests.#counts[bucket] = count;
      digests.count += count;
      for (let lane = 0; lane < LANES; lane++) {
        digests.#sums[bucket * LANES + lane] = view.getUint32(bucket * BUCKET_BYTES + 4 + lane * 4, true);
      }
    }
    return digests;
  }

  add({ spread, content }: Fingerprint): void {
    const bucket = bucketOf(spread, this.#table);
    this.#counts[bucket]!++;
    for (let lane = 0; lane < LANES; lane++) this.#sums[bucket * LANES + lane]! += content[lane]!;
    this.count++;
  }

  /** Notes a record that could not be read: its bucket is never equal to another. */
  addUnread(spread: Uint32Array): void {
    this.#unsure.add(bucketOf(spread, this.#table));
  }

  /** For another thread, which takes them by {@link merge}. */
  packed(): { readonly bytes: Uint8Array; readonly unread: readonly number[] } {
    return { bytes: this.bytes(), unread: [...this.#unsure] };
  }

  /** Adds what another thread has found. */
  merge({ bytes, unread }: ReturnType<BucketDigests["packed"]>): void {
    const other = BucketDigests.fromBytes(bytes, this.#table);
    for (const [bucket, count] of other.#counts.entries()) this.#counts[bucket]! += count;
    for (const [at, sum] of other.#sums.entries()) this.#sums[at]! += sum;
    for (const bucket of unread) this.#unsure.add(bucket);
    this.count += other.count;
  }

  unequalBuckets(other: BucketDigests): Set<number> {
    const unequal = new Set<number>([...this.#unsure, ...other.#unsure]);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      let same = this.#counts[bucket] === other.#counts[bucket];
      for (let at = bucket * LANES; at < (bucket + 1) * LANES; at++) same &&= this.#sums[at] === other.#sums[at];
      if (!same) unequal.add(bucket);
    }
    return unequal;
  }

  /** Records that buckets of an earlier time hold beyond these: at least so many are gone. */
  fewerThan(earlier: BucketDigests): number {
    let fewer = 0;
    for (const [bucket, count] of earlier.#counts.entries()) fewer += Math.max(0, count - this.#counts[bucket]!);
    return fewer;
  }

  /** The share of all records that some buckets hold, on average. */
  static shareOf(buckets: ReadonlySet<number>): number {
    return buckets.size / BUCKETS;
  }
}

/** Bits of an {@link IdFilter}: 4 MiB. With three million ids it is wrong about one in eighty. */
const FILTER_BITS = 1 << 25;

/**
 * Tells ids that were certainly not added: a Bloom filter of a fixed size (B. Bloom, "Space/Time Trade-offs in Hash Coding with
 * Allowable Errors", 1970), so that what a large target holds beside the records of a small transfer need not be
 * hashed, nor kept in files.
 */
export class IdFilter {
  readonly #bits = new Uint32Array(FILTER_BITS / 32);

  add(spread: Uint32Array): void {
    for (const bit of bitsOf(spread)) this.#bits[bit >>> 5]! |= 1 << (bit & 31);
  }

  mayHave(spread: Uint32Array): boolean {
    return bitsOf(spread).every((bit) => (this.#bits[bit >>> 5]! & (1 << (bit & 31))) !== 0);
  }
}

/** Not those bits from which the bucket is made. */
function bitsOf(spread: Uint32Array): [number, number, number] {
  return [spread[1]! & (FILTER_BITS - 1), spread[2]! & (FILTER_BITS - 1), spread[3]! & (FILTER_BITS - 1)];
}
