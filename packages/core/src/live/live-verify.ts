/** Live verification: tells differences that stay from those that are on their way, by looking at each again. */
import { sleep } from "../async/sleep.ts";
import type { ConnectionConfig } from "../config.ts";
import { idKey, type P2PRecord } from "../model/record.ts";
import { lookUpOf } from "../storage/contract-checks.ts";
import { matches, type P2PQuery, parseQuery, pickFields } from "../storage/query.ts";
import { redactText, secretsOf } from "../storage/redact.ts";
import { conversionOf } from "../transfer/conversion/conversion.ts";
import type { TransferEnd } from "../transfer/end.ts";
import { guardedListener } from "../transfer/hooks.ts";
import { transformStep } from "../transfer/options.ts";
import { siftBatch, type Transform, TransformWindow } from "../transfer/transform.ts";
import { fieldDifferences } from "../transfer/verify/fields.ts";
import type { Difference, DifferenceSink } from "../transfer/verify/finder.ts";
import {
  type FoundDifferences,
  findDifferences,
  redacted,
  targetSideOf,
  type VerifyOptions,
  type VerifyResult,
} from "../transfer/verify/verify.ts";
import { keepingIds } from "./keeping-ids.ts";
import { assertLooksUpBy, lookUpInTarget, lookUpWithRetry } from "./look-up.ts";
import { SpillFile } from "./spill-file.ts";

/** The time in which a change reaches the target, unless the caller knows better, in ms. */
const SETTLE_MS = 10_000;

/** How often a record is looked at within that time, so that one that changes and changes back is seen to do so. */
const LOOKS = 4;

/** After so many such times a record that has not stayed the same for one of them is unsettled. */
const WINDOWS = 3;

/** Records looked up at a time. */
const BATCH = 500;

/** Differences of which the fields are told. */
const DETAILED = 100;

/** What both sides had of an id at one moment. */
interface Seen {
  readonly id: string;
  readonly ours: P2PRecord | undefined;
  readonly theirs: P2PRecord | undefined;
  /** Hashes of both; equal ones are no difference. */
  readonly pair: readonly [ours: string, theirs: string];
  /** Why one of them cannot be told. */
  readonly unread?: { readonly side: "source" | "target"; readonly reason: string };
}

/** What is told of an id. */
type Told = "missing" | "different" | "extra" | "unreadable" | "unsettled";

/** An id that differed when both sides were read. */
type Candidate = readonly [id: string];

/** An id that differed when it was last looked at: what was seen, and how often in a row. */
type Pending = readonly [id: string, ours: string, theirs: string, times: number];

/**
 * Compares two sides that may both change meanwhile: what differs at first is looked at again until it has either become equal, or
 * stayed the same on both sides for the time in which a change reaches the target.
 *
 * @throws P2PError as a comparison at rest, and `UNSUPPORTED_OPERATION` or `UNSUPPORTED_QUERY` before anything is read where a side cannot be
 * asked by ids, and `INVALID_CONFIG` where the transform changes ids.
 */
export async function verifyLive(
  source: TransferEnd,
  target: TransferEnd,
  query: P2PQuery,
  options: VerifyOptions,
  config: ConnectionConfig,
): Promise<VerifyResult> {
  return redacted(source, target, options, () => new LiveComparison(source, target, query, options, config).run());
}

class LiveComparison {
  readonly #source: TransferEnd;
  readonly #target: TransferEnd;
  readonly #query: P2PQuery;
  readonly #targetQuery: P2PQuery;
  readonly #options: VerifyOptions;
  readonly #config: ConnectionConfig;
  readonly #transform: Transform | undefined;
  readonly #window: TransformWindow;
  readonly #listener: NonNullable<VerifyOptions["onProgress"]>;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #counts: Record<Told, number> = { missing: 0, different: 0, extra: 0, unreadable: 0, unsettled: 0 };
  readonly #differences: Difference[] = [];
  #found!: FoundDifferences;
  #read: [records: number, total: number | undefined] = [0, undefined];

  constructor(
    source: TransferEnd,
    target: TransferEnd,
    query: P2PQuery,
    options: VerifyOptions,
    config: ConnectionConfig,
  ) {
    const { orderBy: _, ...asked } = query;
    this.#source = source;
    this.#target = target;
    this.#query = asked;
    this.#options = options;
    this.#config = config;
    this.#listener = guardedListener("onProgress", options.onProgress);
    this.#signal = options.signal ? AbortSignal.any([options.signal, this.#stop.signal]) : this.#stop.signal;
    const { transform, terms } = transformStep(options, conversionOf(options));
    const refuse = (error: Error) => this.#stop.abort(error);
    this.#transform = transform && keepingIds(transform, refuse, "a live comparison", "compare at rest");
    this.#window = new TransformWindow(terms);
    this.#targetQuery = options.targetQuery ?? targetSideOf(asked, transform !== undefined);
  }

  async run(): Promise<VerifyResult> {
    const startedAt = performance.now();
    lookUpOf(this.#target);
    await assertLooksUpBy(this.#source, this.#query, this.#signal);
    await assertLooksUpBy(this.#target, this.#askedOfTarget, this.#signal);
    const file = await SpillFile.open<Candidate>("verify");
    const pending = [await SpillFile.open<Pending>("verify"), await SpillFile.open<Pending>("verify")] as const;
    try {
      const { onProgress, settle: _, as: __, recognise: ___, ...options } = this.#options;
      this.#found = await findDifferences(
        this.#source,
        this.#target,
        this.#query,
        {
          ...options,
          ...{ schema: undefined, transform: this.#transform, signal: this.#signal },
          onProgress:
            onProgress &&
            ((records, total) => {
              this.#read = [records, total];
              this.#listener(records, total);
            }),
        },
        this.#config,
        this.#candidatesInto(file),
      );
      await this.#settle(file, pending);
    } catch (error) {
      throw this.#stop.signal.aborted ? this.#stop.signal.reason : error;
    } finally {
      await Promise.all([file, ...pending].map((one) => one.close()));
    }
    return { ...this.#result(), durationMs: performance.now() - startedAt };
  }

  /** What the target is asked for by ids. Where nothing was told, the conditions are held here, as at rest. */
  get #askedOfTarget(): P2PQuery {
    const { orderBy: _, ...told } = this.#options.targetQuery ?? {};
    return told;
  }

  /** What is looked at again: differences that may pass, one of each id. */
  #candidatesInto(file: SpillFile<Candidate>): DifferenceSink {
    const passes = ({ kind }: Difference) =>
      kind === "missing" || kind === "different" || (kind === "extra" && this.#options.extras !== "allow");
    return {
      begin: async () => {
        this.#reset();
        await file.clear();
      },
      add: async (differences) => {
        const due = differences.filter(passes);
        // A look-up gives one record of each id, and would hide the others.
        for (const { kind, id, occurrences } of due) if (occurrences) this.#enter(kind as Told, { id, occurrences });
        await file.add([...new Set(due.flatMap(({ id, occurrences }) => (occurrences ? [] : [id])))].map((id) => [id]));
      },
    };
  }

  /** Looks at what differs until nothing is left of which it is not known. */
  async #settle(
    candidates: SpillFile<Candidate>,
    [first, second]: readonly [SpillFile<Pending>, SpillFile<Pending>],
  ): Promise<void> {
    for await (const batch of candidates.batches(BATCH)) {
      const seen = await this.#look(batch.map(([id]) => id));
      await first.add(this.#stillDifferent(seen).map(({ id, pair }) => [id, ...pair, 0] as const));
    }
    let [from, to] = [first, second];
    for (let look = 1; from.length > 0 && look <= LOOKS * WINDOWS; look++) {
      this.#listener(...this.#read, from.length);
      await sleep((this.#options.settle ?? SETTLE_MS) / LOOKS, this.#signal);
      await to.clear();
      for await (const batch of from.batches(BATCH)) await this.#lookAgain(batch, to, look === LOOKS * WINDOWS);
      [from, to] = [to, from];
    }
  }

  async #lookAgain(batch: readonly Pending[], next: SpillFile<Pending>, isLast: boolean): Promise<void> {
    const seen = await this.#look(batch.map(([id]) => id));
    const before = new Map(batch.map((pending) => [pending[0], pending]));
    const rest: Pending[] = [];
    for (const one of this.#stillDifferent(seen)) {
      const [, ours, theirs, times] = before.get(one.id)!;
      const lasted = ours === one.pair[0] && theirs === one.pair[1] ? times + 1 : 0;
      if (lasted >= LOOKS) this.#tell(one);
      else if (isLast) this.#enter("unsettled", { id: one.id });
      else rest.push([one.id, ...one.pair, lasted]);
    }
    await next.add(rest);
  }

  /** Those that differ, without those that could not be read, of which that is told at once. */
  #stillDifferent(seen: readonly Seen[]): Seen[] {
    return seen.filter(({ id, pair: [ours, theirs], unread }) => {
      if (unread) this.#enter("unreadable", { id, ...unread });
      return unread === undefined && ours !== theirs;
    });
  }

  async #look(ids: readonly string[]): Promise<Seen[]> {
    const refs = ids.map((id) => ({ id }));
    const [ours, theirs] = await Promise.all([
      lookUpWithRetry(this.#source, refs, this.#query, this.#config, this.#signal),
      lookUpInTarget(this.#target, refs, this.#askedOfTarget, this.#config, this.#signal),
    ]);
    const found = ours.flatMap((outcome) => (outcome.state === "wanted" ? [outcome.record] : []));
    const made = await siftBatch({ records: found }, this.#transform, this.#signal, this.#window);
    const records = new Map(made.records.map((record) => [idKey(record.id), record]));
    const refused = new Map(made.failures.map(({ record, error }) => [idKey(record.id), error]));
    const { conditions, fields } = parseQuery(this.#targetQuery);
    return ids.map((id, at) => {
      const here = ours[at]!;
      const there = theirs[at]!;
      const error = here.state === "failed" ? here.error : refused.get(id);
      if (error) return this.#unread(id, "source", error);
      if (there.state === "failed") return this.#unread(id, "target", there.error);
      const record = records.get(id);
      const kept = there.state === "wanted" ? there.record : undefined;
      // What the query does not mean is none of its business, unless the source has it.
      const isMeant = kept !== undefined && (record !== undefined || matches(conditions, kept));
      const pair = [record, isMeant ? pickFields(kept, fields) : undefined] as const;
      return { id, ours: pair[0], theirs: pair[1], pair: [this.#hash(pair[0]), this.#hash(pair[1])] };
    });
  }

  #hash(record: P2PRecord | undefined): string {
    return record === undefined ? "" : this.#found.contentOf(record);
  }

  #unread(id: string, side: "source" | "target", { message }: Error): Seen {
    const reason = redactText(message, secretsOf(this.#source.endpoint, this.#target.endpoint));
    return { id, ours: undefined, theirs: undefined, pair: ["", ""], unread: { side, reason } };
  }

  /** A difference that stayed. */
  #tell({ id, ours, theirs }: Seen): void {
    if (ours === undefined) this.#enter("extra", { id });
    else if (theirs === undefined) this.#enter("missing", { id });
    else if (this.#counts.different >= DETAILED) this.#enter("different", { id });
    else {
      const { comparable } = this.#found;
      const { fields, more } = fieldDifferences(comparable(ours), comparable(theirs));
      this.#enter("different", { id, fields, ...(more > 0 && { moreFields: more }) });
    }
  }

  #reset(): void {
    for (const kind of Object.keys(this.#counts) as Told[]) this.#counts[kind] = 0;
    this.#differences.length = 0;
  }

  #enter(kind: Told, difference: Omit<Difference, "kind">): void {
    this.#counts[kind]++;
    if (this.#differences.length < (this.#options.maxDifferences ?? 1000))
      this.#differences.push({ kind, ...difference });
  }

  #result(): VerifyResult {
    const { contentOf: _, comparable: __, sourceUnread: ___, ...found } = this.#found;
    const extrasBorne = this.#options.extras === "allow";
    const { missing, different, unsettled } = this.#counts;
    const extra = extrasBorne ? found.extra : this.#counts.extra;
    const unreadable = found.unreadable + this.#counts.unreadable;
    const kept = found.differences.filter(({ kind }) => kind === "failed" || kind === "unreadable");
    const listed = [...kept, ...this.#differences].slice(0, this.#options.maxDifferences ?? 1000);
    return {
      ...found,
      ...{ missing, different, extra, unreadable, unsettled },
      equal: missing + different + found.failed + unreadable + unsettled + (extrasBorne ? 0 : extra) === 0,
      differences: listed.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)),
    };
  }
}
