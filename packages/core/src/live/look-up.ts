/** Look-ups by id as what is live needs them: with retries, and never an answer in part. */
import { unlessAborted } from "../async/abort.ts";
import { isP2PError, P2PError } from "../errors.ts";
import { assertAskableById } from "../kit/look-up.ts";
import { lookUpOf } from "../storage/contract-checks.ts";
import type { IdRef } from "../storage/id-ref.ts";
import { type P2PQuery, parseQuery } from "../storage/query.ts";
import type { LookUpOutcome } from "../storage/service.ts";
import type { TransferEnd } from "../transfer/end.ts";
import { RetryBudget, type RetryPolicy } from "../transfer/retry.ts";

/**
 * Makes sure that an end can be asked for records of a query by their ids, before all of it is read for that. (Some stores cannot
 * with a native query.)
 *
 * @throws P2PError `UNSUPPORTED_QUERY`, or `UNSUPPORTED_OPERATION` where it cannot by any.
 */
export async function assertLooksUpBy(end: TransferEnd, query: P2PQuery, signal: AbortSignal): Promise<void> {
  assertAskableById(parseQuery(query));
  await unlessAborted(
    lookUpOf(end)([{ id: "omni-p2p" }], query, { signal }).catch((error) => {
      if (isP2PError(error, "UNSUPPORTED_QUERY")) throw error;
    }),
    signal,
  );
}

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

/** The same in a target: one that nobody has made yet holds nothing. (A source that is not there is an error.) */
export async function lookUpInTarget(
  target: TransferEnd,
  refs: readonly IdRef[],
  query: P2PQuery,
  retry: RetryPolicy,
  signal: AbortSignal,
): Promise<readonly LookUpOutcome[]> {
  try {
    return await lookUpWithRetry(target, refs, query, retry, signal);
  } catch (error) {
    if (isP2PError(error, "SOURCE_NOT_FOUND")) return refs.map(() => ({ state: "absent" }));
    throw error;
  }
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
