/** Failure budget: when so many records failed that the transfer ends. */
import { type FailureTolerance, parseTolerance } from "../config.ts";
import { P2PError } from "../errors.ts";
import type { TransferCounts } from "./counts.ts";

/** Without a tolerance of the user's: this many failures and nothing else mean that the target takes nothing. */
const HOPELESS_FAILURES = 1000;

/** How many failed records a transfer bears before it ends. */
export class FailureBudget {
  readonly #tolerates: ((failed: number, total: number) => boolean) | undefined;
  /** What an earlier run had failed in that was ended by it: who resumes has seen to that. */
  readonly #pardoned: { readonly failed: number; readonly total: number } = { failed: 0, total: 0 };

  /** @param earlier the counts of the run that is resumed. */
  constructor(maxFailures: FailureTolerance | undefined, earlier?: TransferCounts) {
    this.#tolerates = maxFailures === undefined ? undefined : parseTolerance(maxFailures);
    if (!earlier) return;
    const { failureCount: failed, totalRecords: total } = earlier;
    if (this.#tolerates?.(failed, total) === false) this.#pardoned = { failed, total };
  }

  /** @throws P2PError `TOO_MANY_FAILURES`, with the reason of the last one if it is given. */
  assertBorne({ failureCount, totalRecords }: TransferCounts, lastReason?: string): void {
    const borne = this.#tolerates
      ? this.#tolerates(failureCount - this.#pardoned.failed, totalRecords - this.#pardoned.total)
      : failureCount < HOPELESS_FAILURES || failureCount < totalRecords;
    if (borne || failureCount === 0) return;
    throw new P2PError(
      "TOO_MANY_FAILURES",
      `${failureCount} of ${totalRecords} records failed, which is more than max_failures bears` +
        `${lastReason === undefined ? "" : `; the last one: ${lastReason}`}. Mend the cause and resume, or allow more failures`,
    );
  }
}
