/** A spill file for differences: all of them, in order, in bounded memory. */
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { jsonLine } from "../model/json-line.ts";
import { scratchFolder } from "../transfer/durable/scratch-folder.ts";
import type { DifferenceSink, FoundDifference } from "../transfer/verify/finder.ts";

/** A difference as the file keeps it: one of each id. */
export interface KeptDifference {
  readonly kind: FoundDifference["kind"];
  readonly id: string;
  /** Of one that is `extra`, the hash of its record; of several where the target has the id in several forms. */
  readonly contents: readonly string[];
}

/** What of a kept difference is written, and what is taken out. */
export const isExtra = ({ kind }: KeptDifference): boolean => kind === "extra";

/** Keeps the differences of a comparison in a file of the temporary folder. */
export class DifferenceFile implements DifferenceSink {
  readonly #folder: string;
  readonly #file: FileHandle;
  readonly #tellsForms: boolean;
  /** An id of which nobody can say which of its records is meant, among those that differ. */
  ambiguous: FoundDifference | undefined;
  /** Ids that are to be written, and to be taken out. */
  readonly counts = { due: 0, extra: 0 };

  private constructor(folder: string, file: FileHandle, tellsForms: boolean) {
    this.#folder = folder;
    this.#file = file;
    this.#tellsForms = tellsForms;
  }

  /** @param tellsForms the target keeps ids of one text and several types (1 and "1") apart, so that each can be told from the other. */
  static async open(tellsForms: boolean): Promise<DifferenceFile> {
    const folder = await scratchFolder("mirror");
    // Appending, so that what comes after a truncation stands at the beginning.
    return new DifferenceFile(folder, await open(join(folder, "differences"), "a+", 0o600), tellsForms);
  }

  async begin(): Promise<void> {
    this.ambiguous = undefined;
    Object.assign(this.counts, { due: 0, extra: 0 });
    await this.#file.truncate(0);
  }

  /** @param differences those of one id stand side by side. */
  async add(differences: readonly FoundDifference[]): Promise<void> {
    this.ambiguous ??= differences.find((difference) => this.#isAmbiguous(difference));
    const lines: string[] = [];
    for (const { kind, id, contents } of onePerId(differences)) {
      this.counts[kind === "extra" ? "extra" : "due"]++;
      lines.push(jsonLine([kind, id, contents]));
    }
    await this.#file.appendFile(lines.join(""));
  }

  #isAmbiguous({ occurrences }: FoundDifference): boolean {
    return occurrences !== undefined && (occurrences.source > 1 || !this.#tellsForms);
  }

  /** Those that are wanted, so many at a time. */
  async *batches(
    size: number,
    isWanted: (difference: KeptDifference) => boolean,
  ): AsyncGenerator<readonly KeptDifference[]> {
    let batch: KeptDifference[] = [];
    const lines = this.#file.readLines({ start: 0, autoClose: false, encoding: "utf8" });
    for await (const line of lines) {
      const [kind, id, contents] = JSON.parse(line) as [FoundDifference["kind"], string, string[]];
      const difference = { kind, id, contents };
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

/** An id that the source has is to be written as it is there, whatever the target has of it. */
function* onePerId(differences: readonly FoundDifference[]): Generator<KeptDifference> {
  let last: { kind: FoundDifference["kind"]; id: string; contents: string[] } | undefined;
  for (const { kind, id, content, occurrences } of differences) {
    if (last?.id !== id) {
      if (last) yield last;
      last = { kind: kind === "extra" && occurrences?.source ? "different" : kind, id, contents: [] };
    }
    if (content !== undefined) last.contents.push(content);
  }
  if (last) yield last;
}
