import { hash } from "node:crypto";
import { type FileHandle, mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A record's id and the hash of its content. */
export interface Fingerprint {
  readonly key: string;
  /** 128 bits, hexadecimal. */
  readonly content: string;
}

/** One record that is not the same on both sides. */
export interface Difference {
  /** `missing` in the target, `extra` in the target, or `different` in content. */
  readonly kind: "missing" | "extra" | "different";
  /** The record's canonical id. */
  readonly id: string;
}

/** Buckets over which ids are spread: 2^14, so that the digests of a side take under a megabyte. */
const BUCKETS = 1 << 14;

/** The bucket of an id, from a hash that is also used to spread the buckets over files. */
function bucketOf(key: string): number {
  return Number.parseInt(hash("sha1", key).slice(0, 8), 16) % BUCKETS;
}

/**
 * For each bucket the number of records and the sum of their 128-bit hashes: equal whatever the order, and different
 * with a probability of 1 - 2^-128 once a record differs.
 */
export class BucketDigests {
  readonly #counts = new Uint32Array(BUCKETS);
  readonly #sums = new BigUint64Array(BUCKETS * 2);
  count = 0;

  add(key: string, content: string): void {
    const bucket = bucketOf(key);
    const mixed = hash("sha256", `${key}\n${content}`);
    this.#counts[bucket]!++;
    this.#sums[bucket * 2]! += BigInt(`0x${mixed.slice(0, 16)}`);
    this.#sums[bucket * 2 + 1]! += BigInt(`0x${mixed.slice(16, 32)}`);
    this.count++;
  }

  unequalBuckets(other: BucketDigests): Set<number> {
    const unequal = new Set<number>();
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const same =
        this.#counts[bucket] === other.#counts[bucket] &&
        this.#sums[bucket * 2] === other.#sums[bucket * 2] &&
        this.#sums[bucket * 2 + 1] === other.#sums[bucket * 2 + 1];
      if (!same) unequal.add(bucket);
    }
    return unequal;
  }
}

/** Records compared in memory at a time. */
const RECORDS_PER_PART = 100_000;

/** Most files open at a time. */
const MAX_PARTS = 256;

/** Finds the differing records of some buckets: a hash join through files in the temporary folder. */
export class DifferenceFinder {
  readonly #buckets: ReadonlySet<number>;
  readonly #folder: string;
  readonly #files: readonly FileHandle[];

  private constructor(buckets: ReadonlySet<number>, folder: string, files: readonly FileHandle[]) {
    this.#buckets = buckets;
    this.#folder = folder;
    this.#files = files;
  }

  /** @param records how many there are on both sides together. */
  static async open(buckets: ReadonlySet<number>, records: number): Promise<DifferenceFinder> {
    const folder = await mkdtemp(join(tmpdir(), "omni-p2p-verify-"));
    const expected = (records * buckets.size) / BUCKETS;
    const parts = Math.min(MAX_PARTS, Math.max(1, Math.ceil(expected / RECORDS_PER_PART)));
    const files = await Promise.all(Array.from({ length: parts }, (_, part) => open(join(folder, String(part)), "w+")));
    return new DifferenceFinder(buckets, folder, files);
  }

  /** Keeps the fingerprints that fall into the buckets. */
  async add(side: "source" | "target", batch: readonly Fingerprint[]): Promise<void> {
    const lines = this.#files.map((): string[] => []);
    for (const { key, content } of batch) {
      const bucket = bucketOf(key);
      if (!this.#buckets.has(bucket)) continue;
      lines[bucket % lines.length]!.push(`${JSON.stringify([side === "source" ? 0 : 1, key, content])}\n`);
    }
    await Promise.all(lines.map(async (list, part) => list.length > 0 && this.#files[part]!.appendFile(list.join(""))));
  }

  /** The differences found, counted all and listed up to a number. */
  async differences(listed: number) {
    const found = { missing: 0, extra: 0, different: 0 };
    const differences: Difference[] = [];
    for (const [part] of this.#files.entries()) {
      for await (const difference of this.#differencesOf(part)) {
        found[difference.kind]++;
        if (differences.length < listed) differences.push(difference);
      }
    }
    differences.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
    return { ...found, differences };
  }

  async *#differencesOf(part: number): AsyncGenerator<Difference> {
    // An id may occur twice on a side; every occurrence must find its like on the other.
    const sides = [new Map<string, string[]>(), new Map<string, string[]>()] as const;
    const lines = (await readFile(join(this.#folder, String(part)), "utf8")).split("\n");
    for (const line of lines) {
      if (line === "") continue;
      const [side, key, content] = JSON.parse(line) as [0 | 1, string, string];
      const contents = sides[side].get(key);
      if (contents) contents.push(content);
      else sides[side].set(key, [content]);
    }
    for (const [id, contents] of sides[0]) {
      const others = sides[1].get(id) ?? [];
      for (let i = 0; i < Math.max(contents.length, others.length); i++) {
        if (others[i] === undefined) yield { kind: "missing", id };
        else if (contents[i] === undefined) yield { kind: "extra", id };
        else if (contents[i] !== others[i]) yield { kind: "different", id };
      }
    }
    for (const [id, others] of sides[1]) {
      if (!sides[0].has(id)) for (const _ of others) yield { kind: "extra", id };
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#files.map((file) => file.close()));
    await rm(this.#folder, { recursive: true, force: true });
  }
}
