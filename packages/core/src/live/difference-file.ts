/** A spill file for differences: all of them, in order, in bounded memory. */
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { jsonLine } from "../model/json-line.ts";
import { scratchFolder } from "../transfer/durable/scratch-folder.ts";
import type { DifferenceSink, FoundDifference } from "../transfer/verify/finder.ts";

/** A difference as the file keeps it. */
export interface KeptDifference {
  readonly kind: FoundDifference["kind"];
  readonly id: string;
  /** Of one that is `extra`, the hash of its record. */
  readonly content: string | undefined;
}

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
    const folder = await scratchFolder("mirror");
    // Appending, so that what comes after a truncation stands at the beginning.
    return new DifferenceFile(folder, await open(join(folder, "differences"), "a+", 0o600));
  }

  async begin(): Promise<void> {
    this.ambiguous = undefined;
    await this.#file.truncate(0);
  }

  async add(differences: readonly FoundDifference[]): Promise<void> {
    this.ambiguous ??= differences.find(({ occurrences }) => occurrences !== undefined);
    const lines = differences.map(({ kind, id, content }) => jsonLine([kind, id, content ?? null]));
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
      const [kind, id, content] = JSON.parse(line) as [FoundDifference["kind"], string, string | null];
      const difference = { kind, id, content: content ?? undefined };
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
