/** Holds one side against a certificate: one pass over its records, and a second to name those that differ. */
import { P2PError, toP2PError } from "../../errors.ts";
import { toJson } from "../../model/json.ts";
import { idKey, type MutableRecord, type P2PRecord } from "../../model/record.ts";
import { type P2PValue, valuesEqual } from "../../model/value-tree.ts";
import { endpointLabel } from "../../storage/endpoint.ts";
import { type P2PQuery, parseQuery } from "../../storage/query.ts";
import { redactError, secretsOf } from "../../storage/redact.ts";
import { identify, persistentIdentity } from "../checkpoint/identity.ts";
import { conversionOf } from "../conversion/conversion.ts";
import type { TransferEnd } from "../end.ts";
import { guardedListener } from "../hooks.ts";
import { transformStep } from "../options.ts";
import type { RetryPolicy } from "../retry.ts";
import { TransformWindow } from "../transform.ts";
import { type BucketDigests, bucketOf } from "./buckets.ts";
import { CertificateDigests, type ReadCertificate, readCertificate } from "./certificate.ts";
import { type Fingerprint, printRecord, ShaFingerprinter } from "./fingerprint.ts";
import { readSide, type Side, type SideBatch } from "./read.ts";
import { checkOptions, type VerifyOptions } from "./verify.ts";

/** How a side is held against a certificate. */
export interface AgainstOptions<In extends object = MutableRecord>
  extends Pick<
    VerifyOptions<In>,
    | "transform"
    | "schema"
    | "transformTimeout"
    | "batchSize"
    | "maxDifferences"
    | "signal"
    | "as"
    | "recognise"
    | "misfits"
  > {
  /** Which side it is. Default: the one whose endpoint it is, else the target. */
  readonly side?: "source" | "target" | undefined;
  /** The query that the certificate must be of. Default: whichever it is. */
  readonly query?: P2PQuery | undefined;
  /** Called with the number of records read so far, and with how many are expected. */
  readonly onProgress?: ((records: number, total: number) => void) | undefined;
}

/** What became of a side since its certificate was made. */
export interface AgainstResult {
  /** It holds what it held. */
  readonly equal: boolean;
  readonly side: "source" | "target";
  readonly records: number;
  /** Records that it held. */
  readonly expected: number;
  /** Differing buckets, of 16,384. */
  readonly buckets: number;
  /**
   * Ids of records that are there now and were not so then. Where many differ, others may be among them: of n changes about one in
   * (16,384 / n)^3 of the rest. Records that are gone cannot be named, since a certificate holds no ids.
   */
  readonly ids: readonly string[];
  /** How many there are of those, listed or not. */
  readonly suspects: number;
  /** At least so many records are gone. */
  readonly gone: number;
  /** Records that could not be read. */
  readonly unreadable: number;
  readonly notes: readonly string[];
  readonly durationMs: number;
}

/** Ids listed unless the caller says otherwise. */
const LISTED = 1000;

/** {@link AgainstResult} of one side, with settings for a store that fails for the moment. */
export async function againstWith(
  end: TransferEnd,
  certificate: unknown,
  options: AgainstOptions,
  retry: RetryPolicy,
): Promise<AgainstResult> {
  try {
    checkOptions(options);
    return await new Holding(end, readCertificate(certificate), options, retry).run();
  } catch (thrown) {
    if (options.signal?.aborted) throw new P2PError("ABORTED", "The comparison was cancelled", { cause: thrown });
    const error = toP2PError(thrown, "READ_FAILED", "The side could not be compared");
    throw redactError(error, secretsOf(end.endpoint));
  }
}

class Holding {
  readonly #end: TransferEnd;
  readonly #certificate: ReadCertificate;
  readonly #options: AgainstOptions;
  readonly #prints: ShaFingerprinter;
  readonly #side: "source" | "target";
  readonly #reading: Side;
  readonly #listener: (records: number, total: number) => void;
  readonly #notes: string[] = [];
  #unreadable = 0;
  #read = 0;

  constructor(end: TransferEnd, certificate: ReadCertificate, options: AgainstOptions, retry: RetryPolicy) {
    this.#end = end;
    this.#certificate = certificate;
    this.#options = options;
    this.#prints = new ShaFingerprinter(certificate.salt);
    this.#listener = guardedListener("onProgress", options.onProgress);
    const { query, side } = options;
    if (side !== undefined && side !== "source" && side !== "target") {
      throw new P2PError("INVALID_CONFIG", 'Invalid configuration: "side" must be "source" or "target"');
    }
    this.#side = side ?? this.#sideOf();
    if (query) parseQuery(query);
    if (query && !valuesEqual(query as unknown as P2PValue, certificate.parsedQuery as unknown as P2PValue)) {
      throw new P2PError(
        "CERTIFICATE_INVALID",
        `The certificate cannot be used: it was made for the query ${JSON.stringify(certificate.query).slice(0, 200)}, not for ` +
          `${JSON.stringify(toJson(query as unknown as P2PValue)).slice(0, 200)}; leave the query out, and the certificate says which records are meant`,
      );
    }
    const { transform, terms } = transformStep(options, conversionOf(options));
    if (this.#side === "source" && certificate.transformed !== (transform !== undefined)) {
      throw new P2PError(
        "INVALID_CONFIG",
        certificate.transformed
          ? "Invalid configuration: the certificate is of records as a transform made them; give the same transform"
          : 'Invalid configuration: "transform" was not there when the certificate was made; leave it out',
      );
    }
    this.#reading = {
      service: end.service,
      query: this.#side === "source" ? certificate.parsedQuery : certificate.parsedTargetQuery,
      transform: this.#side === "source" ? transform : undefined,
      window: new TransformWindow(terms),
      batchSize: options.batchSize ?? 1000,
      retry,
      signal: options.signal ?? new AbortController().signal,
      mayBeAbsent: this.#side === "target",
      onAbsent: () => void this.#notes.push(`There is nothing at ${endpointLabel(end.endpoint)}`),
    };
  }

  async run(): Promise<AgainstResult> {
    const startedAt = performance.now();
    await this.#noteIdentity();
    const digests = new CertificateDigests();
    for await (const { records, unread } of this.#batches()) {
      for (const record of records) digests.add(this.#printOf(record));
      for (const { id } of unread) digests.addUnread(this.#prints.spread(id));
      this.#unreadable += unread.length;
    }
    const then = this.#certificate.parsedDigests[this.#side];
    const unequal = digests.unequalBuckets(then);
    const [first] = unequal as readonly [ReadonlySet<number>];
    const [table] = digests.tables as readonly [BucketDigests];
    const [before] = then.tables as readonly [BucketDigests];
    const { ids, suspects } =
      first.size > 0 && table.count > 0 ? await this.#suspects(unequal) : { ids: [], suspects: 0 };
    return {
      equal: first.size === 0 && this.#unreadable === 0,
      side: this.#side,
      records: table.count,
      expected: this.#certificate.records,
      buckets: first.size,
      ...{ ids, suspects },
      gone: table.fewerThan(before),
      unreadable: this.#unreadable,
      notes: this.#notes,
      durationMs: performance.now() - startedAt,
    };
  }

  #sideOf(): "source" | "target" {
    const { source, target } = this.#certificate;
    const here = identify(this.#end.endpoint);
    if (here === source.endpoint && here !== target.endpoint) return "source";
    if (here !== target.endpoint) {
      this.#notes.push(
        `The certificate is of ${source.endpoint} and ${target.endpoint}, and ${here} is neither: it is compared as the target`,
      );
    }
    return "target";
  }

  async #noteIdentity(): Promise<void> {
    const before = this.#certificate[this.#side].identity;
    const now = await persistentIdentity(this.#end, this.#reading.retry, this.#reading.signal);
    if (before.incarnation === undefined || now.incarnation === undefined) return;
    if (before.thing === now.thing && before.incarnation !== now.incarnation) {
      this.#notes.push(`${endpointLabel(this.#end.endpoint)} was made anew since: it is not the same thing any more`);
    }
  }

  async #suspects(unequal: readonly ReadonlySet<number>[]): Promise<{ ids: readonly string[]; suspects: number }> {
    const ids: string[] = [];
    let suspects = 0;
    for await (const { records } of this.#batches()) {
      for (const { id } of records) {
        const key = idKey(id);
        const spread = this.#prints.spread(key);
        if (!unequal.every((buckets, table) => buckets.has(bucketOf(spread, table)))) continue;
        suspects++;
        if (ids.length < (this.#options.maxDifferences ?? LISTED)) ids.push(key);
      }
    }
    return { ids: ids.sort(), suspects };
  }

  async *#batches(): AsyncGenerator<SideBatch> {
    for await (const batch of readSide(this.#reading)) {
      this.#read += batch.records.length;
      this.#listener(this.#read, this.#certificate.records);
      yield batch;
    }
  }

  #printOf(record: P2PRecord): Fingerprint {
    const { service } = this.#end;
    return printRecord(this.#prints, record, service.comparable ? service.comparable(record) : record);
  }
}
