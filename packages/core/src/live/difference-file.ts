/** A spill file for differences: all of them, in order, in bounded memory. */
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DifferenceSink, FoundDifference } from "../transfer/verify/finder.ts";

/** A difference as the file keeps it. */
export interface KeptDifference {
  readonly kind: FoundDifference["kind"];
  readonly id: string;
  /** Of one that is `extra`, the hash of its record. */
  readonly content: string | undefined;
  /** Of one that is `unreadable`, on which side. */
  readonly side: FoundDifference["side"];
}

const FOLDER = "omni-p2p-mirror-";

/** Keeps the differences of a comparison in a file of the temporary folder. */
export class DifferenceFile implements DifferenceSink {
  readonly #folder: string;
  readonly #file: FileHandle;
  /** An id that occurs more than once on a side, among those that differ. */
  ambiguous: FoundDifference | undefined;

  private constructor(folder: string, file: FileHandle) {
    this.#folder = folder;
    this.#file = file;
  }

  static async open(): Promise<DifferenceFile> {
    const folder = await mkdtemp(join(tmpdir(), FOLDER));
    // Appending, so that what comes after a truncation stands at the beginning.
    return new DifferenceFile(folder, await open(join(folder, "differences"), "a+", 0o600));
  }

  async begin(): Promise<void> {
    this.ambiguous = undefined;
    await this.#file.truncate(0);
  }

  async add(differences: readonly FoundDifference[]): Promise<void> {
    this.ambiguous ??= differences.find(({ occurrences }) => occurrences !== undefined);
    const lines = differences.map(
      ({ kind, id, content, side }) => `${JSON.stringify([kind, id, content ?? null, side ?? null])}\n`,
    );
    await this.#file.appendFile(lines.join(""));
  }

  /** Those that are wanted, so many at a time. */
  async *batches(
    size: number,
    isWanted: (difference: KeptDifference) => boolean,
  ): AsyncGenerator<readonly KeptDifference[]> {
    let batch: KeptDifference[] = [];
    const lines = this.#file.readLines({ start: 0, autoClose: false, encoding: "utf8" });
    for await (const line of lines) {
      const [kind, id, content, side] = JSON.parse(line) as [FoundDifference["kind"], string, string | null, "source"];
      const difference = { kind, id, content: content ?? undefined, side: side ?? undefined };
      if (!isWanted(difference)) continue;
      batch.push(difference);
      if (batch.length < size) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  async close(): Promise<void> {
    await this.#file.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
