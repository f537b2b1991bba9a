/** Hash buckets: keyed fingerprints of records, summed so that equal sides are told in bounded memory. */
import { hash, randomBytes } from "node:crypto";

/** A record's id and the keyed hashes of it. They are comparable within one comparison only. */
export interface Fingerprint {
  /** The record's canonical id. */
  readonly key: string;
  /** A hash of the id, by which records are spread: 160 bits, a character for each eight. */
  readonly spread: string;
  /** A hash of id and content: 256 bits, a character for each eight. */
  readonly content: string;
}

/**
 * Hashes with a key (a salt) that is drawn anew for each comparison.
 *
 * Without the key, whoever writes records could look for two sets of them whose sums are equal: that is a generalised
 * birthday problem (D. Wagner, "A Generalized Birthday Problem", CRYPTO 2002), and for sums of 128 bits a matter of
 * seconds. The same holds for ids that all fall into one bucket. With it, nothing can be prepared: to records that were
 * chosen before the key was drawn the hashes are as good as random.
 *
 * SHA-256 of a record of 600 bytes takes a microsecond, a quarter of what making its canonical text takes: processors
 * have instructions for it, and nothing that JavaScript could compute is as fast.
 */
export class Fingerprinter {
  readonly #key = randomBytes(32).toString("base64");

  spread(id: string): string {
    return hash("sha1", this.#key + id, "binary");
  }

  /** The length goes first, so that no id runs into the text. */
  content(id: string, text: string): string {
    return hash("sha256", `${this.#key}${id.length} ${id}${text}`, "binary");
  }
}

/** Buckets over which ids are spread: 2^14, so that the digests of a side take under a megabyte. */
const BUCKETS = 1 << 14;

/** 32 bits of a hash, from its character at this place on. */
function word(hashed: string, at: number): number {
  return (
    hashed.charCodeAt(at) |
    (hashed.charCodeAt(at + 1) << 8) |
    (hashed.charCodeAt(at + 2) << 16) |
    (hashed.charCodeAt(at + 3) << 24)
  );
}

/** The bucket of an id. */
export function bucketOf(spread: string): number {
  return word(spread, 0) & (BUCKETS - 1);
}

/** Sums kept of a bucket, each of 32 bits. */
const LANES = 4;

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
  count = 0;

  add({ spread, content }: Fingerprint): void {
    const bucket = bucketOf(spread);
    this.#counts[bucket]!++;
    for (let lane = 0; lane < LANES; lane++) this.#sums[bucket * LANES + lane]! += word(content, lane * 4);
    this.count++;
  }

  /** Notes a record that could not be read: its bucket is never equal to another. */
  addUnread(spread: string): void {
    this.#unsure.add(bucketOf(spread));
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

  add(spread: string): void {
    for (const bit of bitsOf(spread)) this.#bits[bit >>> 5]! |= 1 << (bit & 31);
  }

  mayHave(spread: string): boolean {
    return bitsOf(spread).every((bit) => (this.#bits[bit >>> 5]! & (1 << (bit & 31))) !== 0);
  }
}

/** Not those bits from which the bucket is made. */
function bitsOf(spread: string): [number, number, number] {
  return [4, 8, 12].map((at) => word(spread, at) & (FILTER_BITS - 1)) as [number, number, number];
}
