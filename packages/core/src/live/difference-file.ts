/** A spill file for differences: all of them, in order, in bounded memory. */
import type { DifferenceSink, FoundDifference } from "../transfer/verify/finder.ts";
import { SpillFile } from "./spill-file.ts";

/** A difference as the file keeps it: one of each id. */
export interface KeptDifference {
  readonly kind: FoundDifference["kind"];
  readonly id: string;
  /** Of one that is `extra`, the hash of its record; of several where the target has the id in several forms. */
  readonly contents: readonly string[];
}

/** What of a kept difference is written, and what is taken out. */
export const isExtra = ({ kind }: KeptDifference): boolean => kind === "extra";

type Line = readonly [kind: FoundDifference["kind"], id: string, contents: readonly string[]];

/** Keeps the differences of a comparison in a file of the temporary folder. */
export class DifferenceFile implements DifferenceSink {
  readonly #file: SpillFile<Line>;
  readonly #tellsForms: boolean;
  /** An id of which nobody can say which of its records is meant, among those that differ. */
  ambiguous: FoundDifference | undefined;
  /** Ids that are to be written, and to be taken out. */
  readonly counts = { due: 0, extra: 0 };

  private constructor(file: SpillFile<Line>, tellsForms: boolean) {
    this.#file = file;
    this.#tellsForms = tellsForms;
  }

  /** @param tellsForms the target keeps ids of one text and several types (1 and "1") apart, so that each can be told from the other. */
  static async open(tellsForms: boolean): Promise<DifferenceFile> {
    return new DifferenceFile(await SpillFile.open<Line>("mirror"), tellsForms);
  }

  async begin(): Promise<void> {
    this.ambiguous = undefined;
    Object.assign(this.counts, { due: 0, extra: 0 });
    await this.#file.clear();
  }

  /** @param differences those of one id stand side by side. */
  async add(differences: readonly FoundDifference[]): Promise<void> {
    this.ambiguous ??= differences.find((difference) => this.#isAmbiguous(difference));
    const lines: Line[] = [];
    for (const { kind, id, contents } of onePerId(differences)) {
      this.counts[kind === "extra" ? "extra" : "due"]++;
      lines.push([kind, id, contents]);
    }
    await this.#file.add(lines);
  }

  #isAmbiguous({ occurrences }: FoundDifference): boolean {
    return occurrences !== undefined && (occurrences.source > 1 || !this.#tellsForms);
  }

  /** Those that are wanted, so many at a time. */
  async *batches(
    size: number,
    isWanted: (difference: KeptDifference) => boolean,
  ): AsyncGenerator<readonly KeptDifference[]> {
    const differenceOf = ([kind, id, contents]: Line): KeptDifference => ({ kind, id, contents });
    for await (const batch of this.#file.batches(size, (line) => isWanted(differenceOf(line)))) {
      yield batch.map(differenceOf);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
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
