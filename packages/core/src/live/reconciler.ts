/** Reconciliation by id: what may differ is looked up in the source anew, and written to the target or taken out of it. */
import { P2PError } from "../errors.ts";
import { recordDigest } from "../model/digest.ts";
import { idKey, type P2PRecord } from "../model/record.ts";
import { estimateBytes } from "../model/size.ts";
import { deleteOf } from "../storage/contract-checks.ts";
import type { IdRef } from "../storage/id-ref.ts";
import { type P2PQuery, pickFields } from "../storage/query.ts";
import type { DeleteRef, DeleteResult, LookUpOutcome, SourceSchema } from "../storage/service.ts";
import type { TransferEnd } from "../transfer/end.ts";
import type { ResolvedTransfer } from "../transfer/options.ts";
import { RetryBudget, writeWithRetry } from "../transfer/retry.ts";
import { siftBatch, TransformWindow } from "../transfer/transform.ts";
import { lookUpInTarget, lookUpWithRetry } from "./look-up.ts";

/** An id that was not reconciled, and why. */
export interface NotReconciled {
  readonly id: string;
  readonly phase: "read" | "transform" | "write";
  readonly error: P2PError;
  readonly attempts: number;
}

/** What became of some ids that were to be written. */
export interface Written {
  written: number;
  /** No longer in the source, or not wanted of it any more. */
  vanished: number;
  retries: number;
  bytes: number;
  readonly failures: NotReconciled[];
}

/** What became of some ids that were to be deleted. */
export interface Deleted {
  deleted: number;
  /** Not in the target any more. */
  absent: number;
  /** Left: in the source after all, or not as they were compared. */
  kept: number;
  readonly failures: NotReconciled[];
  /** In the source once more when the delete had been sent: they were written again. */
  readonly restored: Written;
}

/** A record of the target alone. */
export interface Extra {
  readonly id: string;
  /** The hash by which it was compared; those of several where the target has the id in several forms (1 and "1"). */
  readonly contents: readonly string[];
}

/** What is reconciled, and how. */
interface Terms {
  readonly source: TransferEnd;
  readonly target: TransferEnd;
  /** What the source is asked for. */
  readonly query: P2PQuery;
  /** The fields of the target's records that were compared. */
  readonly fields: readonly string[] | undefined;
  readonly options: Pick<ResolvedTransfer, "transform" | "transformTerms" | "config" | "limiter">;
  readonly schema: SourceSchema | undefined;
  /** The hash of a record as the comparison made it. */
  readonly contentOf: (record: P2PRecord) => string;
  readonly signal: AbortSignal;
  /** Makes sure, right before a delete, that the source can still be believed. */
  readonly assertSource: () => Promise<void>;
}

const NOTHING_WRITTEN = (): Written => ({ written: 0, vanished: 0, retries: 0, bytes: 0, failures: [] });

/** Reconciles ids in batches, one batch at a time: an id is never in two of them at once. */
export class Reconciler {
  readonly #terms: Terms;
  readonly #window: TransformWindow;
  /** Ids whose delete got no clear answer: it may still land, so they are looked at once more at the end. */
  readonly unsure = new Set<string>();

  constructor(terms: Terms) {
    this.#terms = terms;
    this.#window = new TransformWindow(terms.options.transformTerms);
  }

  /**
   * Writes what the source has of these ids now. Where the target has an id in another form than the source (1 for "1"), and both
   * could be there beside each other, the other one is taken out afterwards.
   *
   * @param isNew tells ids of which the target has no record in any form. Default: of none.
   */
  async write(ids: readonly string[], isNew: (id: string) => boolean = () => false): Promise<Written> {
    const { source, query, options, signal } = this.#terms;
    const refs = ids.map((id) => ({ id }));
    // Before they are looked up: what waits after that would be old when it is written.
    await options.limiter?.take(refs.length, 0, signal);
    const { records, result } = await this.#sift(refs, await this.lookUp(source, refs, query));
    await this.#write(records, result);
    await options.limiter?.take(0, result.bytes, signal);
    await this.#removeOtherForms(
      records.filter(({ id }) => !isNew(idKey(id))),
      result,
    );
    return result;
  }

  /**
   * Takes records out of the target that are not in the source: each is looked up there right before, and once after, and
   * what came back is written.
   */
  async remove(extras: readonly Extra[]): Promise<Deleted> {
    const result: Deleted = { deleted: 0, absent: 0, kept: 0, failures: [], restored: NOTHING_WRITTEN() };
    const { config } = this.#terms.options;
    const budget = new RetryBudget(config);
    const sent = new Set<string>();
    // A look-up gives one form of an id at a time.
    for (let form = 0; ; form++) {
      let rest = extras.filter(({ contents }) => contents.length > form);
      if (rest.length === 0) break;
      for (let attempts = 1; rest.length > 0; attempts++) {
        const refs = await this.#deletable(rest, result);
        if (refs.length === 0) break;
        await this.#terms.assertSource();
        for (const { extra } of refs) sent.add(extra.id);
        try {
          rest = await this.#send(refs, result, budget, attempts);
        } catch (error) {
          for (const { extra } of refs) this.unsure.add(extra.id);
          this.#terms.signal.throwIfAborted();
          if (!(await budget.again(error, this.#terms.signal))) throw error;
          rest = refs.map(({ extra }) => extra);
        }
      }
    }
    await this.restore([...sent], result.restored);
    return result;
  }

  /** Writes those of some ids that the source has and the target has not, or not so. */
  async restore(ids: readonly string[], into: Written = NOTHING_WRITTEN()): Promise<Written> {
    if (ids.length === 0) return into;
    const { source, target, query, fields, contentOf } = this.#terms;
    const refs = ids.map((id) => ({ id }));
    const ours = await this.lookUp(source, refs, query);
    const back = refs.map((ref, at) => ({ ref, outcome: ours[at]! })).filter(({ outcome }) => isNotGone(outcome));
    const { records, result } = await this.#sift(
      back.map(({ ref }) => ref),
      back.map(({ outcome }) => outcome),
    );
    const due: P2PRecord[] = [];
    if (records.length > 0) {
      const theirs = await this.#lookUpTarget(
        target,
        records.map(({ id }) => ({ id: idKey(id) })),
      );
      for (const [at, record] of records.entries()) {
        const there = theirs[at]!;
        const isSame = there.state === "wanted" && contentOf(record) === contentOf(pickFields(there.record, fields));
        if (!isSame) due.push(record);
      }
    }
    await this.#write(due, result);
    add(into, result);
    return into;
  }

  /** Those of the target's records that may be deleted at this moment, with where they lie and what they are. */
  async #deletable(extras: readonly Extra[], result: Deleted): Promise<{ ref: DeleteRef; extra: Extra }[]> {
    const { source, target, query, fields, contentOf } = this.#terms;
    const theirs = await this.#lookUpTarget(
      target,
      extras.map(({ id }) => ({ id })),
    );
    const candidates: { ref: DeleteRef; extra: Extra }[] = [];
    for (const [at, extra] of extras.entries()) {
      const there = theirs[at]!;
      if (there.state === "failed") result.failures.push(notRead(extra.id, there.error));
      else if (there.state === "absent") {
        // After a delete without an answer: it has landed.
        if (this.unsure.has(extra.id)) result.deleted++;
        else result.absent++;
      } else if (there.state === "unwanted" || !extra.contents.includes(contentOf(pickFields(there.record, fields))))
        result.kept++;
      else {
        const { record, locator } = there;
        const ref = { id: record.id, ...(locator !== undefined && { locator }), expected: recordDigest(record) };
        candidates.push({ ref, extra });
      }
    }
    if (candidates.length === 0) return [];
    const ours = await this.lookUp(
      source,
      candidates.map(({ ref: { id } }) => ({ id })),
      query,
    );
    return candidates.filter(({ extra }, at) => {
      const here = ours[at]!;
      if (here.state === "failed") result.failures.push(notRead(extra.id, here.error));
      if (here.state === "wanted") result.kept++;
      return here.state === "absent" || here.state === "unwanted";
    });
  }

  /** Sends a delete, and gives back what is to be tried again. */
  async #send(
    refs: readonly { ref: DeleteRef; extra: Extra }[],
    result: Deleted,
    budget: RetryBudget,
    attempts: number,
  ): Promise<Extra[]> {
    const { target, signal } = this.#terms;
    const answer = await deleteOf(target)(
      refs.map(({ ref }) => ref),
      { signal },
    );
    assertAccounted(answer, refs.length);
    result.deleted += answer.deleted;
    result.absent += answer.absent;
    result.kept += answer.changed.length;
    const again = answer.failures.filter(({ error }) => error.retryable);
    const final = answer.failures.filter(({ error }) => !error.retryable);
    const [first] = again;
    const mayTry = first !== undefined && (await budget.again(first.error, signal));
    for (const { index, error } of mayTry ? final : answer.failures) {
      result.failures.push({ id: refs[index]!.extra.id, phase: "write", error, attempts });
    }
    return mayTry ? again.map(({ index }) => refs[index]!.extra) : [];
  }

  /** What is to be written of what was found, and what became of the rest. */
  async #sift(
    refs: readonly IdRef[],
    outcomes: readonly LookUpOutcome[],
  ): Promise<{ readonly records: readonly P2PRecord[]; readonly result: Written }> {
    const result = NOTHING_WRITTEN();
    const found: P2PRecord[] = [];
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.state === "wanted") found.push(outcome.record);
      else if (outcome.state === "failed") result.failures.push(notRead(idKey(refs[at]!.id), outcome.error));
      else result.vanished++;
    }
    const { options, signal } = this.#terms;
    const { records, dropped, failures } = await siftBatch({ records: found }, options.transform, signal, this.#window);
    result.vanished += dropped;
    for (const { record, error } of failures) {
      result.failures.push({ id: idKey(record.id), phase: "transform", error, attempts: 0 });
    }
    return { records, result };
  }

  async #write(records: readonly P2PRecord[], result: Written): Promise<void> {
    if (records.length === 0) return;
    const { options, signal, target, schema } = this.#terms;
    const outcome = await writeWithRetry(
      (items: readonly P2PRecord[], how) => target.service.writeToTarget(items, { ...how, ...(schema && { schema }) }),
      records,
      "upsert",
      options.config,
      signal,
    );
    result.written = outcome.written;
    result.retries = outcome.retries;
    result.bytes = outcome.bytes > 0 ? outcome.bytes : records.reduce((sum, one) => sum + estimateBytes(one), 0);
    for (const { index, error, attempts } of outcome.failures) {
      result.failures.push({ id: idKey(records[index]!.id), phase: "write", error, attempts });
    }
  }

  /**
   * Deletes what the target has of written records in other forms of their ids. They are told apart by the target alone, and
   * each stays unless it is as it was read here.
   */
  async #removeOtherForms(records: readonly P2PRecord[], result: Written): Promise<void> {
    const { target, signal, options } = this.#terms;
    const { service } = target;
    if (records.length === 0 || !service.idForm || !service.capabilities.deletes) return;
    const failed = new Set(result.failures.map(({ id }) => id));
    const forms = new Map<string, string>();
    for (const { id } of records) if (!failed.has(idKey(id))) forms.set(idKey(id), service.idForm(id));
    if (forms.size === 0) return;
    const budget = new RetryBudget(options.config);
    for (;;) {
      try {
        const others = await this.#otherForms(forms);
        if (others.length === 0) return;
        for (const { id } of others) this.unsure.add(idKey(id));
        const { failures } = await deleteOf(target)(others, { signal });
        const [first] = failures;
        if (first === undefined) return;
        throw first.error;
      } catch (error) {
        signal.throwIfAborted();
        if (!(await budget.again(error, signal))) throw error;
      }
    }
  }

  /** What the target has under ids of these texts, and not in these forms. */
  async #otherForms(forms: ReadonlyMap<string, string>): Promise<DeleteRef[]> {
    const { service } = this.#terms.target;
    const others: DeleteRef[] = [];
    const query = { where: { id: { in: [...forms.keys()] } } };
    const reading = service.readFromSource(query, { batchSize: forms.size, signal: this.#terms.signal });
    for await (const { records, locators } of reading) {
      for (const [at, record] of records.entries()) {
        const form = forms.get(idKey(record.id));
        if (form === undefined || service.idForm!(record.id) === form) continue;
        const locator = locators?.[at];
        others.push({ id: record.id, ...(locator !== undefined && { locator }), expected: recordDigest(record) });
      }
    }
    return others;
  }

  #lookUpTarget(target: TransferEnd, refs: readonly IdRef[]): Promise<readonly LookUpOutcome[]> {
    const { options, signal } = this.#terms;
    return lookUpInTarget(target, refs, {}, options.config, signal);
  }

  /** Looks ids up in an end. */
  lookUp(end: TransferEnd, refs: readonly IdRef[], query: P2PQuery): Promise<readonly LookUpOutcome[]> {
    const { options, signal } = this.#terms;
    return lookUpWithRetry(end, refs, query, options.config, signal);
  }
}

function isNotGone({ state }: LookUpOutcome): boolean {
  return state === "wanted" || state === "failed";
}

function notRead(id: string, error: P2PError): NotReconciled {
  return { id, phase: "read", error, attempts: 0 };
}

function add(into: Written, more: Written): void {
  into.written += more.written;
  into.vanished += more.vanished;
  into.retries += more.retries;
  into.bytes += more.bytes;
  into.failures.push(...more.failures);
}

/** A delete that an answer leaves out would be taken for done. @throws P2PError `STARTER_INCOMPATIBLE` */
export function assertAccounted({ deleted, absent, changed, failures }: DeleteResult, sent: number): void {
  if (deleted + absent + changed.length + failures.length === sent) return;
  throw new P2PError(
    "STARTER_INCOMPATIBLE",
    `A store was told to delete ${sent} records, and its starter does not account for each of them; it breaks the contract, so report it to its authors`,
  );
}
