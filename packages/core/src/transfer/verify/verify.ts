import { type ConnectionConfigInput, parseConfig } from "../../config.ts";
import { assertPlain } from "../../described.ts";
import { isP2PError, P2PError, toP2PError } from "../../errors.ts";
import type { JsonValue } from "../../model/json-value.ts";
import { idKey, type MutableRecord, type P2PRecord } from "../../model/record.ts";
import { estimateBytes } from "../../model/size.ts";
import { countOf } from "../../storage/contract-checks.ts";
import { matches, type P2PQuery, parseQuery } from "../../storage/query.ts";
import { redactError, redactText, secretsOf } from "../../storage/redact.ts";
import { type Conversion, conversionOf } from "../conversion/conversion.ts";
import type { TransferEnd } from "../end.ts";
import { FieldWatch } from "../field-watch.ts";
import { guardedListener } from "../hooks.ts";
import { isTimeout, SCHEMA_WORDS, TIMEOUT_WORDS, transformStep } from "../options.ts";
import type { RetryPolicy } from "../retry.ts";
import { isSchema } from "../schema.ts";
import type { StandardSchemaV1 } from "../standard-schema.ts";
import { type Transform, TransformWindow } from "../transform.ts";
import { BucketDigests, bucketOf, IdFilter } from "./buckets.ts";
import { CertificateDigests, certificateOf, type VerifyCertificate } from "./certificate.ts";
import { withFields } from "./details.ts";
import { type Difference, DifferenceFinder, type DifferenceSink, type Findings, type Note } from "./finder.ts";
import {
  type Fingerprint,
  type Fingerprinter,
  newFingerprinter,
  printRecord,
  ShaFingerprinter,
  SipHashFingerprinter,
} from "./fingerprint.ts";
import { type PairedSide, Pairing, sameRecord } from "./pairing.ts";
import { readSide, type Side, type SideBatch } from "./read.ts";
import { ThreadedDigests } from "./threaded-digests.ts";

/** How two sides are compared. `In` is what the records of the source are. */
export interface VerifyOptions<In extends object = MutableRecord>
  extends Pick<ConnectionConfigInput, "as" | "recognise" | "misfits"> {
  /** The schema of the transfer: the source's records are compared as it makes them, and those it refuses are unreadable. */
  readonly schema?: StandardSchemaV1<unknown, In> | undefined;
  /** The transform of the transfer: the source's records are compared as it makes them. */
  readonly transform?: Transform<In> | undefined;
  /** How long one call of these two may take, in ms, as in a transfer. Default `hookTimeout`. */
  readonly transformTimeout?: number | undefined;
  /** How long a call of what the application gave may take, in ms; 0 is without a limit. Default 60 000. */
  readonly hookTimeout?: number | undefined;
  /** What to read of the target. Default: what meets the same conditions, where the target can be asked; else all of it. */
  readonly targetQuery?: P2PQuery | undefined;
  /**
   * What a record is that only the target has: `"differ"`, a difference; `"allow"`, counted, and nothing else. Default
   * `"differ"`; with `limit` or `offset` in the query `"allow"`, since the target cannot be asked for the same part.
   */
  readonly extras?: "differ" | "allow" | undefined;
  /**
   * What several records of one id in the source are, of which the target holds one: `"differ"`, differences; `"allow"`,
   * one record that was sent several times, of which the last counts, or any that is there. Default `"differ"`.
   */
  readonly repeats?: "differ" | "allow" | undefined;
  /**
   * Ids, as text, of records that are known to have failed in the transfer, for instance those of its dead letters. What
   * is missing or different among them is told as `failed`. It is gone through more than once: a list or a set, but not
   * a generator.
   */
  readonly failed?: Iterable<string> | AsyncIterable<string> | undefined;
  /** Records read at a time. Default 1000. */
  readonly batchSize?: number | undefined;
  /** Differences listed, some of each kind; all are counted. Default 1000. */
  readonly maxDifferences?: number | undefined;
  /**
   * Both sides may change meanwhile: a difference is told only when it stays the same for the whole of `settle`, and a record that
   * goes on changing is `unsettled`. Both stores must look records up by their ids, and a transform must keep these. Default `false`.
   */
  readonly live?: boolean | undefined;
  /** The time in which a change of the source reaches the target at the latest, in ms. With `live` alone. Default 10 000. */
  readonly settle?: number | undefined;
  /** Give a certificate where both sides are equal, against which one of them can be held later. Default `false`. */
  readonly certificate?: boolean | undefined;
  /**
   * Whether the target may be read in a worker thread of its own: `"auto"`, where both sides come in orders that have nothing in
   * common, so that all must be hashed, there is a second processor, the target's starter was found among the dependencies and knows
   * of threads, and neither a `targetQuery` nor a certificate is asked for; or `"never"`. Default `"auto"`.
   */
  readonly threads?: "auto" | "never" | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Called with the number of records compared so far, of both sides, and with how many they hold together, as soon as both
   * have told. Where the sides differ, both are read once more, so that more may be read than they hold. Last, of a live
   * comparison, how many records are looked at again.
   */
  readonly onProgress?: ((records: number, total: number | undefined, again?: number) => void) | undefined;
}

/** What a comparison found. */
export interface VerifyResult {
  /** Nothing is missing, different, failed or unreadable; nor extra, where that is a difference. */
  readonly equal: boolean;
  /** Records of the source that could be read, after the transform. */
  readonly sourceCount: number;
  /** Records read of the target. */
  readonly targetCount: number;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** Missing or different, and named by the option `failed`. */
  readonly failed: number;
  /** Records that a side has and that could not be read or transformed, so that nothing can be said of them. */
  readonly unreadable: number;
  /** Of a live comparison, records that went on changing, so that nothing can be said of them. Then it is not equal. */
  readonly unsettled: number;
  /** Among the records that differ, those beyond the first of their id, on each side. */
  readonly repeated: { readonly source: number; readonly target: number };
  /** By id. */
  readonly differences: readonly Difference[];
  /** Where it was asked for and both sides are equal. A live comparison gives one only where they were equal at once. */
  readonly certificate?: VerifyCertificate;
  /** Set when the target does not exist. It then counts as empty. */
  readonly targetAbsent?: true;
  /** What the user should know, in sentences: for instance that no record has a field that the query names. */
  readonly notes?: readonly string[];
  readonly durationMs: number;
}

/** Compares at rest, with settings for a store that fails for the moment. */
export async function verifyWith(
  source: TransferEnd,
  target: TransferEnd,
  query: P2PQuery,
  options: VerifyOptions,
  retry: RetryPolicy,
): Promise<VerifyResult> {
  return redacted(source, target, options, () => new Comparison(source, target, query, options, retry).run());
}

/** Checks the options, compares, and lets no secret out with an error. */
export async function redacted<Result>(
  source: TransferEnd,
  target: TransferEnd,
  options: VerifyOptions,
  compare: () => Promise<Result>,
): Promise<Result> {
  try {
    checkOptions(options);
    return await compare();
  } catch (thrown) {
    const error =
      options.signal?.aborted && !isP2PError(thrown)
        ? new P2PError("ABORTED", "The comparison was cancelled", { cause: thrown })
        : toP2PError(thrown, "READ_FAILED", "The two sides could not be compared");
    throw redactError(error, secretsOf(source.endpoint, target.endpoint));
  }
}

/** What {@link findDifferences} found, and how a record is told from another one that came later. */
export interface FoundDifferences extends VerifyResult {
  /** Records of the source that could not be read, so that there may be any. */
  readonly sourceUnread: number;
  /** The hash of a record as the differences have it. */
  contentOf(record: P2PRecord): string;
  /** A record in the form in which it is compared. */
  comparable(record: P2PRecord): P2PRecord;
}

/**
 * {@link verifyWith} for who is to act on the differences: gives all of them to a sink.
 *
 * @param looksAt sees each batch of the source as it is compared.
 */
export async function findDifferences(
  source: TransferEnd,
  target: TransferEnd,
  query: P2PQuery,
  options: VerifyOptions,
  retry: RetryPolicy,
  sink: DifferenceSink,
  looksAt?: (records: readonly P2PRecord[]) => void,
): Promise<FoundDifferences> {
  const comparison = new Comparison(source, target, query, options, retry, sink, looksAt);
  const result = await comparison.run();
  return {
    ...result,
    sourceUnread: comparison.sourceUnread,
    contentOf: (record) => comparison.contentOf(record),
    comparable: (record) => comparison.comparable(record),
  };
}

const SETTLE_WORDS = "a number of milliseconds from 1 up, with live: true";

/** @throws P2PError `INVALID_CONFIG`, naming the option. */
export function checkOptions(options: Omit<VerifyOptions, "onProgress"> & { readonly onProgress?: unknown }): void {
  assertPlain("options", options);
  const { schema, transform, transformTimeout, hookTimeout, signal, onProgress, failed } = options;
  const { as, recognise, misfits } = options;
  parseConfig({ as, recognise, misfits });
  const words = (value: unknown) => value === undefined || value === "differ" || value === "allow";
  const whole = (value: unknown, least: number) => Number.isSafeInteger(value) && (value as number) >= least;
  const iterable = (value: object) => Symbol.iterator in value || Symbol.asyncIterator in value;
  const rules: [keyof VerifyOptions, boolean, string][] = [
    ["batchSize", whole(options.batchSize ?? 1, 1), "a whole number from 1 up"],
    ["maxDifferences", whole(options.maxDifferences ?? 0, 0), "a whole number from 0 up"],
    ["schema", schema === undefined || isSchema(schema), SCHEMA_WORDS],
    ["transformTimeout", isTimeout(transformTimeout ?? 0), TIMEOUT_WORDS],
    ["hookTimeout", isTimeout(hookTimeout ?? 0), TIMEOUT_WORDS],
    ["transform", transform === undefined || typeof transform === "function", "a function"],
    ["extras", words(options.extras), '"differ" or "allow"'],
    ["repeats", words(options.repeats), '"differ" or "allow"'],
    ["failed", failed === undefined || (typeof failed === "object" && failed !== null && iterable(failed)), "iterable"],
    ["certificate", typeof (options.certificate ?? false) === "boolean", "true or false"],
    ["threads", ["auto", "never"].includes(options.threads ?? "auto"), '"auto" or "never"'],
    ["live", typeof (options.live ?? false) === "boolean", "true or false"],
    ["settle", options.settle === undefined || (whole(options.settle, 1) && options.live === true), SETTLE_WORDS],
    ["signal", signal === undefined || signal instanceof AbortSignal, "an AbortSignal"],
    ["onProgress", onProgress === undefined || typeof onProgress === "function", "a function"],
  ];
  for (const [name, valid, wanted] of rules) {
    if (!valid) throw new P2PError("INVALID_CONFIG", `Invalid configuration: "${name}" must be ${wanted}`);
  }
}

/** Characters of a reason that are kept. */
const MAX_REASON = 500;

/** What a certificate is made of. */
interface Certified {
  readonly source: CertificateDigests;
  readonly target: CertificateDigests;
  readonly prints: ShaFingerprinter;
}

/** One comparison from its first read to its result. */
class Comparison {
  readonly #options: VerifyOptions;
  readonly #prints: Fingerprinter;
  readonly #ends: { readonly source: TransferEnd; readonly target: TransferEnd };
  readonly #certified: Certified | undefined;
  readonly #conversion: Conversion | undefined;
  readonly #canonical: (record: P2PRecord) => P2PRecord;
  readonly #redact: (text: string) => string;
  readonly #listener: (records: number, total: number | undefined) => void;
  readonly #source: Side;
  readonly #target: Side;
  /** Each looks for fields that a query names and no record has; of the target, where it has a query of its own. */
  readonly #fields: { readonly source: FieldWatch; readonly target: FieldWatch };
  /** Whether the target is asked for a part of it only. */
  readonly #narrowed: boolean;
  readonly #extrasAllowed: boolean;
  /** Which ids the source may have; only where the target may hold many others. */
  readonly #sourceIds: IdFilter | undefined;
  /** Aborts when one side failed. */
  readonly #ending = new AbortController();
  #read = 0;
  /** Records of both sides together, once both have counted. */
  #total: number | undefined;
  #targetAbsent = false;
  #extra = 0;
  readonly #sink: DifferenceSink | undefined;
  readonly #looksAt: ((records: readonly P2PRecord[]) => void) | undefined;
  sourceUnread = 0;

  constructor(
    source: TransferEnd,
    target: TransferEnd,
    query: P2PQuery,
    options: VerifyOptions,
    retry: RetryPolicy,
    sink?: DifferenceSink,
    looksAt?: (records: readonly P2PRecord[]) => void,
  ) {
    this.#options = options;
    this.#listener = guardedListener("onProgress", options.onProgress);
    this.#ends = { source, target };
    this.#certified = options.certificate
      ? { source: new CertificateDigests(), target: new CertificateDigests(), prints: new ShaFingerprinter() }
      : undefined;
    this.#prints = this.#certified?.prints ?? newFingerprinter();
    this.#sink = sink;
    this.#looksAt = looksAt;
    this.#conversion = conversionOf(options);
    const { transform, terms } = transformStep(options, this.#conversion);
    this.#canonical = comparableBy(source, target);
    const secrets = secretsOf(source.endpoint, target.endpoint);
    this.#redact = (text) => redactText(text, secrets);
    const { limit, offset } = parseQuery(query);
    const part = Number.isFinite(limit) || offset > 0;
    this.#extrasAllowed = (options.extras ?? (part ? "allow" : "differ")) === "allow";
    if (this.#certified && this.#extrasAllowed) {
      throw new P2PError(
        "INVALID_CONFIG",
        'Invalid configuration: "certificate" is of all that both sides hold; leave out limit, offset and extras: "allow"',
      );
    }
    const targetQuery = options.targetQuery ?? targetSideOf(query, transform !== undefined);
    this.#narrowed = !options.targetQuery && (targetQuery.where !== undefined || targetQuery.type !== undefined);
    this.#fields = { source: new FieldWatch(query), target: new FieldWatch(options.targetQuery ?? {}) };
    this.#sourceIds = this.#extrasAllowed || this.#narrowed ? new IdFilter() : undefined;
    const signal = options.signal ? AbortSignal.any([options.signal, this.#ending.signal]) : this.#ending.signal;
    const common = { batchSize: options.batchSize ?? 1000, retry, signal };
    const window = new TransformWindow(terms);
    this.#source = { ...common, service: source.service, query, transform, window, mayBeAbsent: false };
    this.#target = {
      ...common,
      service: target.service,
      query: targetQuery,
      mayBeAbsent: true,
      onAbsent: () => {
        this.#targetAbsent = true;
      },
    };
  }

  async run(): Promise<VerifyResult> {
    const startedAt = performance.now();
    const began = new Date();
    if (this.#options.onProgress) void this.#countBoth();
    const [source, target] = await this.#digestBoth();
    const counts = { sourceCount: source.count, targetCount: target.count + this.#extra };
    const unequal = source.unequalBuckets(target);
    const found = unequal.size === 0 ? NOTHING : await this.#find(unequal, counts.sourceCount + target.count);
    const { missing, different, failed, unreadable, repeated, differences } = found;
    const extra = found.extra + this.#extra;
    const notes = [...(await this.#notesOfFields()), ...(this.#conversion?.notes() ?? [])];
    const equal = missing + different + failed + unreadable + (this.#extrasAllowed ? 0 : extra) === 0;
    // Of digests that differed at first nobody can say what they are of: one side changed meanwhile.
    const certificate =
      this.#certified && equal && unequal.size === 0
        ? await this.#certify(this.#certified, source.count, began)
        : undefined;
    return {
      equal,
      ...counts,
      ...{ missing, extra, different, failed, unreadable, unsettled: 0, repeated, differences },
      ...(certificate && { certificate }),
      ...(this.#targetAbsent && { targetAbsent: true }),
      ...(notes.length > 0 && { notes }),
      durationMs: performance.now() - startedAt,
    };
  }

  #certify({ source, target, prints }: Certified, records: number, startedAt: Date): Promise<VerifyCertificate> {
    const { query, transform, retry, signal } = this.#source;
    return certificateOf({
      ...this.#ends,
      ...{ query, targetQuery: this.#target.query, transformed: transform !== undefined },
      ...{ records, salt: prints.key, startedAt, retry, signal },
      digests: source,
      targetDigests: this.#hasForms ? target : undefined,
    });
  }

  /** Beside the reading, as only the progress wants it; a side that cannot count leaves the total unknown. */
  async #countBoth(): Promise<void> {
    const count = ({ service, query, signal }: Side) => countOf(service, query, signal);
    const counts = await Promise.all([count(this.#source), count(this.#target)]).catch(() => []);
    const [source, target] = counts;
    if (source !== undefined && target !== undefined) this.#total = source + target;
  }

  async #notesOfFields(): Promise<string[]> {
    const { signal } = this.#source;
    const ofSource = await this.#fields.source.notes(this.#source.service, signal);
    const ofTarget = await this.#fields.target.notes(this.#target.service, signal);
    return [...ofSource, ...ofTarget.map((note) => `In the target: ${note}`)];
  }

  /** Reads both sides side by side, unless the target's records can be told from others only by those of the source. */
  async #digestBoth(): Promise<[BucketDigests, BucketDigests]> {
    const source = new BucketDigests();
    const target = new BucketDigests();
    if (this.#extrasAllowed) {
      await this.#digestSource(source, undefined);
      await this.#digestTarget(target, undefined);
      return [source, target];
    }
    const digests = [source, target] as const;
    const keep = (side: PairedSide, record: P2PRecord) => digests[side].add(this.#printOf(record));
    // What a certificate holds is made of every record.
    const pairing = this.#certified ? undefined : new Pairing((a, b) => this.#same(a, b), keep, this.#source.signal);
    // When one side fails, the other is told to end; the error is that of the first.
    const failed = (error: unknown) => {
      this.#ending.abort(error);
      throw error;
    };
    const both = [this.#digestSource(source, pairing), this.#digestTarget(target, pairing)];
    await Promise.allSettled(both.map((side) => side.catch(failed)));
    if (this.#ending.signal.aborted) throw this.#ending.signal.reason;
    for (const side of digests) side.count += pairing?.pairs ?? 0;
    return [source, target];
  }

  /** Whether two records of one id are equal in the form in which they are compared. */
  #same(source: P2PRecord, target: P2PRecord): boolean {
    if (sameRecord(source, target)) return true;
    const [left, right] = [this.#canonical(source), this.#canonical(target)];
    return (left !== source || right !== target) && sameRecord(left, right);
  }

  async #digestSource(digests: BucketDigests, pairing: Pairing | undefined): Promise<void> {
    for await (const batch of this.#reading({ ...this.#source, fields: this.#fields.source })) {
      const { records, unread } = batch;
      this.#looksAt?.(records);
      if (this.#sourceIds) for (const { id } of records) this.#sourceIds.add(this.#prints.spread(idKey(id)));
      if (pairing) pairing.add(0, records, bytesOfEach(batch));
      else for (const record of records) this.#digestOfSource(record, digests);
      this.sourceUnread += neverRead(unread);
      for (const { id } of unread) {
        const spread = this.#prints.spread(id);
        this.#sourceIds?.add(spread);
        digests.addUnread(spread);
      }
      await pairing?.turn(0);
    }
    pairing?.end(0);
  }

  async #digestTarget(digests: BucketDigests, pairing: Pairing | undefined): Promise<void> {
    const thread = pairing && this.#threadForTarget();
    try {
      const after = await this.#digestTargetHere(digests, pairing, this.#target, thread);
      if (after !== undefined) {
        const rest = await thread!.digest(after, (records) => this.#count(records));
        if (rest) digests.merge(rest);
        else await this.#digestTargetHere(digests, pairing, { ...this.#target, after }, undefined);
      }
    } finally {
      thread?.close();
    }
    pairing?.end(1);
  }

  #threadForTarget(): ThreadedDigests | undefined {
    const prints = this.#prints;
    if (this.#options.threads === "never" || this.#options.targetQuery || !(prints instanceof SipHashFingerprinter)) {
      return undefined;
    }
    // What another starter knows to be the same is not known in a thread that loads the target's alone.
    return this.#ends.source.service.comparable ? undefined : ThreadedDigests.of(this.#target, prints.key);
  }

  /** @returns where a thread that is ready has to go on. */
  async #digestTargetHere(
    digests: BucketDigests,
    pairing: Pairing | undefined,
    side: Side,
    thread: ThreadedDigests | undefined,
  ): Promise<JsonValue | undefined> {
    for await (const batch of this.#reading({ ...side, fields: this.#fields.target })) {
      const { records, unread } = batch;
      if (pairing) pairing.add(1, records, bytesOfEach(batch));
      else for (const record of records) this.#digestOfTarget(record, digests);
      for (const { id } of unread) digests.addUnread(this.#prints.spread(id));
      // What can be paired takes less work here than hashing it there.
      if (pairing?.isVain) thread?.begin();
      if (thread?.isReady) return batch.cursor;
      await pairing?.turn(1);
    }
    return undefined;
  }

  #digestOfSource(record: P2PRecord, digests: BucketDigests): void {
    const print = this.#printOf(record);
    digests.add(print);
    this.#certified?.source.add(this.#ownPrint(this.#ends.source, record, print));
  }

  #digestOfTarget(record: P2PRecord, digests: BucketDigests): void {
    const spread = this.#prints.spread(idKey(record.id));
    if (this.#extrasAllowed && !this.#sourceIds!.mayHave(spread)) this.#extra++;
    else {
      const print = this.#printOf(record, spread);
      digests.add(print);
      this.#certified?.target.add(this.#ownPrint(this.#ends.target, record, print));
    }
  }

  /** What a side's own form makes of a record: later it is held against the certificate without the other. */
  #ownPrint({ service }: TransferEnd, record: P2PRecord, print: Fingerprint): Fingerprint {
    if (!this.#hasForms) return print;
    return printRecord(this.#prints, record, service.comparable ? service.comparable(record) : record, print.spread);
  }

  get #hasForms(): boolean {
    return this.#ends.source.service.comparable !== undefined || this.#ends.target.service.comparable !== undefined;
  }

  /** Finds the differences behind unequal digests. */
  async #find(buckets: ReadonlySet<number>, records: number): Promise<Findings> {
    const found = await this.#compare(buckets, records, this.#target, () => true);
    // What the target's own search does not find may be there all the same: with another value in the very field that
    // the condition is about, or where the store cannot search. Then the conditions are held against all of it, here.
    const { fields, ...rest } = this.#target.query;
    const whole: Side = { ...this.#target, query: fields ? { fields } : {} };
    const { conditions } = parseQuery(rest);
    const found2 =
      this.#narrowed && found.missing + found.failed > 0
        ? await this.#compare(buckets, records, whole, (record) => matches(conditions, record))
        : found;
    // Of a live comparison, fields are told of what stays different, and what changed meanwhile is not to be looked for in all records.
    if (this.#options.live) return found2;
    const side = found2 === found ? this.#target : whole;
    return {
      ...found2,
      differences: await withFields(found2.differences, this.#source, side, (record) => {
        const canonical = this.#canonical(record);
        return { record: canonical, content: this.contentOf(record) };
      }),
    };
  }

  async #compare(
    buckets: ReadonlySet<number>,
    records: number,
    target: Side,
    isMeant: (record: P2PRecord) => boolean,
  ): Promise<Findings> {
    const finder = await DifferenceFinder.open(buckets, records);
    try {
      let unread = 0;
      for await (const batch of this.#reading(this.#source)) {
        unread += neverRead(batch.unread);
        await finder.add(
          this.#notes(batch, "source", (record) => {
            const spread = this.#prints.spread(idKey(record.id));
            return finder.wants(bucketOf(spread)) ? { kind: "source", ...this.#notePrint(record, spread) } : undefined;
          }),
        );
      }
      // What was read the first time may be unreadable now.
      this.sourceUnread = Math.max(this.sourceUnread, unread);
      for await (const batch of this.#reading(target)) {
        await finder.add(
          this.#notes(batch, "target", (record) => {
            const spread = this.#prints.spread(idKey(record.id));
            const alone = this.#sourceIds !== undefined && !this.#sourceIds.mayHave(spread);
            const meant = isMeant(record);
            if (alone && (this.#extrasAllowed || !meant)) return undefined;
            if (!alone && !finder.wants(bucketOf(spread))) return undefined;
            return { kind: meant ? "target" : "beside", ...this.#notePrint(record, spread), always: alone };
          }),
        );
      }
      await finder.add(await this.#failedNotes(finder));
      return await finder.findings({
        listed: this.#options.maxDifferences ?? 1000,
        // Who is to act on them wants to see what is to be deleted beside what is to be written.
        ofEachKind: this.#sink !== undefined,
        listExtra: !this.#extrasAllowed,
        lastOfId: this.#options.repeats === "allow",
        sink: this.#sink,
      });
    } finally {
      await finder.close();
    }
  }

  /** The hash of a record as notes and differences have it. */
  contentOf(record: P2PRecord): string {
    return textOf(this.#printOf(record).content);
  }

  comparable(record: P2PRecord): P2PRecord {
    return this.#canonical(record);
  }

  #notePrint(record: P2PRecord, spread: Uint32Array): Omit<Note, "kind"> {
    const print = this.#printOf(record, spread);
    return { key: print.key, bucket: bucketOf(spread), text: textOf(print.content) };
  }

  #notes(
    { records, unread }: SideBatch,
    side: "source" | "target",
    noteOf: (record: P2PRecord) => Note | undefined,
  ): Note[] {
    const notes: Note[] = [];
    for (const record of records) {
      const note = noteOf(record);
      if (note) notes.push(note);
    }
    for (const { id, error } of unread) {
      const text = this.#redact(error.message).slice(0, MAX_REASON).toWellFormed();
      notes.push({ kind: `unreadable-${side}`, key: id, bucket: bucketOf(this.#prints.spread(id)), text });
    }
    return notes;
  }

  async #failedNotes(finder: DifferenceFinder): Promise<Note[]> {
    let notes: Note[] = [];
    for await (const id of this.#options.failed ?? []) {
      notes.push({ kind: "failed", key: id, bucket: bucketOf(this.#prints.spread(id)), text: "" });
      if (notes.length < 1000) continue;
      await finder.add(notes);
      notes = [];
    }
    return notes;
  }

  #printOf(record: P2PRecord, spread?: Uint32Array): Fingerprint {
    return printRecord(this.#prints, record, this.#canonical(record), spread);
  }

  /** A side's batches, counted. */
  async *#reading(side: Side): AsyncGenerator<SideBatch> {
    for await (const batch of readSide(side)) {
      this.#count(batch.records.length);
      yield batch;
    }
  }

  #count(records: number): void {
    this.#read += records;
    this.#listener(this.#read, this.#total);
  }
}

/** The size of a batch's records on average, roughly. */
function bytesOfEach({ records, bytes }: SideBatch): number {
  if (records.length === 0) return 0;
  return (bytes ?? records.reduce((sum, record) => sum + estimateBytes(record), 0)) / records.length;
}

/** How many may be any record, and not those that a transform failed on. */
function neverRead(unread: SideBatch["unread"]): number {
  return unread.filter(({ wasRead }) => !wasRead).length;
}

/** A hash as it stands in the files. */
function textOf({ buffer, byteOffset, byteLength }: Uint32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64url");
}

const NOTHING: Findings = {
  ...{ missing: 0, extra: 0, different: 0, failed: 0, unreadable: 0 },
  ...{ repeated: { source: 0, target: 0 }, differences: [] },
};

/** The form in which records are compared: what either store knows to be the same is made equal on both sides. */
function comparableBy({ service: source }: TransferEnd, { service: target }: TransferEnd) {
  const forms = [source, target].filter((service) => service.comparable !== undefined);
  if (forms.length === 0) return (record: P2PRecord) => record;
  return (record: P2PRecord) => forms.reduce((form, service) => service.comparable!(form), record);
}

/**
 * What of the target answers to the records of a query: those that meet its conditions, as far as the target can be
 * asked. A transform may have changed what the conditions are about, `fields` may have left it out, and what is native
 * to the source means nothing there.
 */
export function targetSideOf(query: P2PQuery, transformed: boolean): P2PQuery {
  const { conditions, fields, native } = parseQuery(query);
  if (transformed) return {};
  const kept = (field: string) => field === "id" || fields === undefined || fields.includes(field);
  const askable = Object.keys(native).length === 0 && conditions.every(({ field }) => kept(field));
  return {
    ...(fields && { fields }),
    ...(askable && query.type !== undefined && { type: query.type }),
    ...(askable && query.where && { where: query.where }),
  };
}
