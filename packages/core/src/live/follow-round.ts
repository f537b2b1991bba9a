/** One round of a follow: reconciliation by id of what a feed has named, each looked up anew, then written or deleted. */
import { P2PError } from "../errors.ts";
import { recordDigest } from "../model/digest.ts";
import { idKey, type P2PRecord } from "../model/record.ts";
import { deleteOf } from "../storage/contract-checks.ts";
import type { IdRef } from "../storage/id-ref.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { DeleteRef, SourceSchema } from "../storage/service.ts";
import type { TransferEnd } from "../transfer/end.ts";
import type { ResolvedTransfer } from "../transfer/options.ts";
import { type OnRetry, RetryBudget, writeWithRetry } from "../transfer/retry.ts";
import { siftBatch, TransformWindow } from "../transfer/transform.ts";
import { lookUpInTarget } from "./look-up.ts";
import { assertAccounted, type NotReconciled, Reconciler } from "./reconciler.ts";

/** How often a record of the target that others change meanwhile is looked at again. */
const MAX_TURNS = 5;

/** What became of a round. */
export interface RoundResult {
  written: number;
  deleted: number;
  skipped: number;
  readonly failures: NotReconciled[];
}

/** What is reconciled, and how. */
export interface RoundTerms {
  readonly source: TransferEnd;
  readonly target: TransferEnd;
  readonly query: P2PQuery;
  /** Which of the target's records are meant: others are never deleted. */
  readonly targetQuery: P2PQuery;
  readonly deletes: "remove" | "keep";
  readonly options: Pick<ResolvedTransfer, "transform" | "transformTerms" | "config" | "limiter">;
  readonly schema: SourceSchema | undefined;
  readonly signal: AbortSignal;
  readonly onRetry: OnRetry;
  /** Lets so many be deleted, or waits until that is allowed; `true` when it waited, since all must be looked up anew then. */
  readonly allow: (deletes: number) => Promise<boolean>;
  /** Makes sure that the source is the one that it was, right before a delete. */
  readonly assertSource: () => Promise<void>;
}

/** Reconciles ids in rounds. */
export class FollowRounds {
  readonly #terms: RoundTerms;
  readonly #reconciler: Reconciler;
  readonly #window: TransformWindow;

  constructor(terms: RoundTerms) {
    this.#terms = terms;
    const { source, target, query, options, schema, signal, assertSource } = terms;
    this.#window = new TransformWindow(options.transformTerms);
    this.#reconciler = new Reconciler({
      ...{ source, target, query, options, schema, signal, assertSource },
      fields: undefined,
      contentOf: recordDigest,
    });
  }

  async reconcile(refs: readonly IdRef[]): Promise<RoundResult> {
    const result: RoundResult = { written: 0, deleted: 0, skipped: 0, failures: [] };
    let rest = refs;
    for (let turn = 1; rest.length > 0; turn++) {
      rest = await this.#turn(rest, result);
      if (turn < MAX_TURNS || rest.length === 0) continue;
      const error = new P2PError(
        "BUSY",
        "The record of the target is changed by others all the time, so it was not deleted",
      );
      for (const { id } of rest) result.failures.push({ id: idKey(id), phase: "write", error, attempts: turn });
      break;
    }
    return result;
  }

  /** Gives back what must be looked at once more. */
  async #turn(refs: readonly IdRef[], result: RoundResult): Promise<readonly IdRef[]> {
    const { source, query, options, signal } = this.#terms;
    // Before they are looked up: what waits after that would be old when it is written.
    await options.limiter?.take(refs.length, 0, signal);
    const outcomes = await this.#reconciler.lookUp(source, refs, query);
    const found: P2PRecord[] = [];
    const gone = new Map<string, IdRef>();
    for (const [at, outcome] of outcomes.entries()) {
      const ref = refs[at]!;
      if (outcome.state === "wanted") found.push(outcome.record);
      else if (outcome.state === "failed") {
        result.failures.push({ id: idKey(ref.id), phase: "read", error: outcome.error, attempts: 0 });
      } else gone.set(idKey(ref.id), { id: ref.id });
    }
    const { records, failures } = await siftBatch({ records: found }, options.transform, signal, this.#window);
    const kept = new Set(records.map(({ id }) => idKey(id)));
    for (const { record, error } of failures) {
      kept.add(idKey(record.id));
      result.failures.push({ id: idKey(record.id), phase: "transform", error, attempts: 0 });
    }
    // What the transform drops does not belong into the target.
    for (const { id } of found) if (!kept.has(idKey(id))) gone.set(idKey(id), { id });
    await this.#write(records, result);
    return this.#remove([...gone.values()], result);
  }

  async #write(records: readonly P2PRecord[], result: RoundResult): Promise<void> {
    if (records.length === 0) return;
    const { options, signal, target, schema, onRetry } = this.#terms;
    const outcome = await writeWithRetry(
      (items: readonly P2PRecord[], how) => target.service.writeToTarget(items, { ...how, ...(schema && { schema }) }),
      records,
      "upsert",
      options.config,
      signal,
      onRetry,
    );
    result.written += outcome.written;
    await options.limiter?.take(0, outcome.bytes, signal);
    for (const { index, error, attempts } of outcome.failures) {
      result.failures.push({ id: idKey(records[index]!.id), phase: "write", error, attempts });
    }
  }

  async #remove(refs: readonly IdRef[], result: RoundResult): Promise<readonly IdRef[]> {
    if (refs.length === 0) return [];
    const { deletes, target, targetQuery, options, signal, onRetry, allow, assertSource } = this.#terms;
    if (deletes === "keep") {
      result.skipped += refs.length;
      return [];
    }
    const theirs = await lookUpInTarget(target, refs, targetQuery, options.config, signal);
    const due: DeleteRef[] = [];
    for (const [at, there] of theirs.entries()) {
      if (there.state === "wanted") {
        const { record, locator } = there;
        due.push({ id: record.id, ...(locator !== undefined && { locator }), expected: recordDigest(record) });
      } else if (there.state === "failed") {
        result.failures.push({ id: idKey(refs[at]!.id), phase: "read", error: there.error, attempts: 0 });
      } else result.skipped++;
    }
    if (due.length === 0) return [];
    if (await allow(due.length)) return due.map(({ id }) => ({ id }));
    await assertSource();
    const budget = new RetryBudget(options.config, onRetry);
    // A call that fails as a whole is tried again by the caller, with all looked up anew.
    const answer = await deleteOf(target)(due, { signal });
    assertAccounted(answer, due.length);
    result.deleted += answer.deleted;
    result.skipped += answer.absent;
    const again = answer.changed.map((index) => ({ id: due[index]!.id }));
    const [first] = answer.failures.filter(({ error }) => error.retryable);
    const mayTry = first !== undefined && (await budget.again(first.error, signal));
    for (const { index, error } of answer.failures) {
      const { id } = due[index]!;
      if (mayTry && error.retryable) again.push({ id });
      else result.failures.push({ id: idKey(id), phase: "write", error, attempts: 1 });
    }
    return again;
  }
}
