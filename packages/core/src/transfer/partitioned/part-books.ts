/** Checkpoints of parallel parts. */
import type { Checkpoint, CheckpointStore } from "../checkpoint/checkpoint.ts";
import type { FailureBudget } from "../failure-budget.ts";
import type { TransferResult } from "../result.ts";
import { addUp, NO_COUNTS, outcomeOf, type PartOutcome } from "./add-up.ts";
import type { PartLetters } from "./shared-letters.ts";

/** The id under which a part keeps its checkpoint. */
export function partId(transferId: string, part: number): string {
  return `${transferId}.part-${part + 1}`;
}

/**
 * Keeps the books of all parts: each part's checkpoint passes through here on its way to the store, so that progress
 * and the tolerance for failures go by the whole.
 */
export class PartBooks {
  readonly #transferId: string;
  readonly #store: CheckpointStore | undefined;
  readonly #budget: FailureBudget;
  readonly #onChange: (sum: PartOutcome) => void;
  readonly #outcomes: PartOutcome[];

  /** @param earlier the parts' checkpoints of the run that is resumed, as far as there are any. */
  constructor(
    transferId: string,
    store: CheckpointStore | undefined,
    earlier: readonly (Checkpoint | undefined)[],
    budget: FailureBudget,
    onChange: (sum: PartOutcome) => void,
  ) {
    this.#transferId = transferId;
    this.#store = store;
    this.#budget = budget;
    this.#onChange = onChange;
    this.#outcomes = earlier.map((checkpoint) => ({
      counts: checkpoint?.counts ?? NO_COUNTS,
      recordsRead: checkpoint?.recordsRead ?? 0,
      bytes: 0,
      errors: [],
      ...(checkpoint && { resumed: checkpoint.counts }),
    }));
  }

  /** All parts as one. */
  get sum(): PartOutcome {
    return addUp(this.#outcomes);
  }

  /** Enters what became of a part that has ended. */
  enter(part: number, result: TransferResult): void {
    this.#outcomes[part] = outcomeOf(result);
  }

  /** The store for the checkpoints of one part. The whole transfer is claimed as one, so the parts need no lock. */
  storeFor(part: number, letters: PartLetters | undefined): CheckpointStore {
    const store = this.#store;
    const id = partId(this.#transferId, part);
    return {
      load: async () => store?.load(id),
      save: async (checkpoint) => {
        await store?.save(checkpoint);
        letters?.saved(checkpoint);
        const { counts, recordsRead } = checkpoint;
        this.#outcomes[part] = { ...this.#outcomes[part]!, counts, recordsRead };
        const { sum } = this;
        this.#onChange(sum);
        this.#budget.assertBorne(sum.counts);
      },
      flush: async () => store?.flush?.(id),
      remove: async () => store?.remove(id),
      lock: async () => async () => {},
    };
  }
}
