/** Look-ups by id as what is live needs them: with retries, and never an answer in part. */
import { P2PError } from "../errors.ts";
import { lookUpOf } from "../storage/contract-checks.ts";
import type { IdRef } from "../storage/id-ref.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { LookUpOutcome } from "../storage/service.ts";
import type { TransferEnd } from "../transfer/end.ts";
import { RetryBudget, type RetryPolicy } from "../transfer/retry.ts";

/**
 * Looks ids up in an end, and asks once more for what could not be told for the moment.
 *
 * @throws P2PError when the whole look-up failed for good, and `STARTER_INCOMPATIBLE` when it answered in part.
 */
export async function lookUpWithRetry(
  end: TransferEnd,
  refs: readonly IdRef[],
  query: P2PQuery,
  retry: RetryPolicy,
  signal: AbortSignal,
): Promise<readonly LookUpOutcome[]> {
  const lookUp = lookUpOf(end);
  const budget = new RetryBudget(retry);
  const outcomes: LookUpOutcome[] = new Array(refs.length);
  let places = [...refs.keys()];
  while (places.length > 0) {
    try {
      const asked = places.map((place) => refs[place]!);
      const answers = await lookUp(asked, query, { signal });
      assertAnswered(answers, asked.length);
      for (const [at, place] of places.entries()) outcomes[place] = answers[at]!;
    } catch (error) {
      signal.throwIfAborted();
      if (await budget.again(error, signal)) continue;
      signal.throwIfAborted();
      throw error;
    }
    const troubled = places.filter((place) => retryableOf(outcomes[place]!) !== undefined);
    const [first] = troubled;
    if (first === undefined || !(await budget.again(retryableOf(outcomes[first]!), signal))) break;
    places = troubled;
  }
  signal.throwIfAborted();
  return outcomes;
}

function retryableOf(outcome: LookUpOutcome): P2PError | undefined {
  return outcome.state === "failed" && outcome.error.retryable ? outcome.error : undefined;
}

const STATES: readonly unknown[] = ["wanted", "unwanted", "absent", "failed"];

/** An answer in part would be an absence of what it leaves out. */
function assertAnswered(answers: readonly LookUpOutcome[], asked: number): void {
  if (Array.isArray(answers) && answers.length === asked && !answers.includes(undefined as never)) {
    if (answers.every(({ state }) => STATES.includes(state))) return;
  }
  throw new P2PError(
    "STARTER_INCOMPATIBLE",
    `A store was asked for ${asked} records by their ids, and its starter did not answer for each of them; it breaks the contract, so report it to its authors`,
  );
}
