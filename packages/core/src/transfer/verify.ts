import { hash } from "node:crypto";
import { isP2PError, P2PError, toP2PError } from "../errors.ts";
import { Breather } from "../storage/breather.ts";
import { canonicalText } from "../storage/canonical.ts";
import { type P2PQuery, parseQuery } from "../storage/query.ts";
import { idKey } from "../storage/record.ts";
import { redactError, secretsOf } from "../storage/redact.ts";
import type { P2PValue } from "../storage/value.ts";
import type { TransferEnd } from "./end.ts";
import { readAhead } from "./read-ahead.ts";
import { checkBatch, type Transform, transformBatch } from "./transform.ts";
import { BucketDigests, type Difference, DifferenceFinder, type Fingerprint } from "./verify-buckets.ts";

/** How two sides are compared. */
export interface VerifyOptions {
  /** The transform of the transfer: the source's records are compared as it makes them. */
  readonly transform?: Transform | undefined;
  /** What to read of the target. Default: what meets the same conditions, where the target can be asked; else all of it. */
  readonly targetQuery?: P2PQuery | undefined;
  /** Records read at a time. Default 1000. */
  readonly batchSize?: number | undefined;
  /** Differences listed; all are counted. Default 1000. */
  readonly maxDifferences?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of records compared so far, of both sides. */
  readonly onProgress?: ((records: number) => void) | undefined;
}

/** What a comparison found. */
export interface VerifyResult {
  readonly equal: boolean;
  /** Records of the source, after the transform. */
  readonly sourceCount: number;
  readonly targetCount: number;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** By id. */
  readonly differences: readonly Difference[];
  readonly durationMs: number;
}

/**
 * Compares two stores record by record: by id, and by a hash of all fields with their types.
 *
 * Both sides are read once into digests of fixed size. Where these differ, both are read once more and only the
 * records behind the differing digests are compared, through temporary files. So the memory is bounded and the time
 * linear in the records, in whatever order the stores give them.
 *
 * Neither side may change meanwhile.
 *
 * @throws P2PError `INVALID_CONFIG`, `INVALID_QUERY`, `ABORTED`, or what reading throws; `READ_FAILED` when a record
 * cannot be read or transformed, since then nothing can be said of it.
 */
export async function verify(
  source: TransferEnd,
  target: TransferEnd,
  query: P2PQuery,
  options: VerifyOptions = {},
): Promise<VerifyResult> {
  try {
    return await compare(source, target, query, options);
  } catch (thrown) {
    const error =
      options.signal?.aborted && !isP2PError(thrown)
        ? new P2PError("ABORTED", "The comparison was cancelled", { cause: thrown })
        : toP2PError(thrown, "READ_FAILED", "The two sides could not be compared");
    throw redactError(error, secretsOf(source.endpoint, target.endpoint));
  }
}

async function compare(
  source: TransferEnd,
  target: TransferEnd,
  query: P2PQuery,
  options: VerifyOptions,
): Promise<VerifyResult> {
  const startedAt = performance.now();
  checkOptions(options);
  const targetQuery = options.targetQuery ?? targetSideOf(query, options.transform !== undefined);
  const progress = { records: 0, tell: options.onProgress };
  const sourceSide = () => fingerprints(source, query, options.transform, options, progress);
  const targetSide = () => fingerprints(target, targetQuery, undefined, options, progress);
  const digests = [await digest(sourceSide()), await digest(targetSide())] as const;
  const unequal = digests[0].unequalBuckets(digests[1]);
  const counts = { sourceCount: digests[0].count, targetCount: digests[1].count };
  if (unequal.size === 0) {
    return {
      equal: true,
      ...counts,
      missing: 0,
      extra: 0,
      different: 0,
      differences: [],
      durationMs: performance.now() - startedAt,
    };
  }
  const finder = await DifferenceFinder.open(unequal, counts.sourceCount + counts.targetCount);
  try {
    for await (const batch of sourceSide()) await finder.add("source", batch);
    for await (const batch of targetSide()) await finder.add("target", batch);
    const found = await finder.differences(options.maxDifferences ?? 1000);
    const equal = found.missing + found.extra + found.different === 0;
    return { equal, ...counts, ...found, durationMs: performance.now() - startedAt };
  } finally {
    await finder.close();
  }
}

function checkOptions(options: VerifyOptions): void {
  const { transform, signal, onProgress } = options;
  const whole = (value: unknown, least: number) => Number.isSafeInteger(value) && (value as number) >= least;
  const rules: [keyof VerifyOptions, boolean, string][] = [
    ["batchSize", whole(options.batchSize ?? 1, 1), "a whole number from 1 up"],
    ["maxDifferences", whole(options.maxDifferences ?? 0, 0), "a whole number from 0 up"],
    ["transform", transform === undefined || typeof transform === "function", "a function"],
    ["signal", signal === undefined || signal instanceof AbortSignal, "an AbortSignal"],
    ["onProgress", onProgress === undefined || typeof onProgress === "function", "a function"],
  ];
  for (const [name, valid, wanted] of rules) {
    if (!valid) throw new P2PError("INVALID_CONFIG", `Invalid configuration: "${name}" must be ${wanted}`);
  }
}

/**
 * What of the target answers to the records of a query: those that meet its conditions, as far as the target can be
 * asked. A transform may have changed what the conditions are about, `fields` may have left it out, and what is native
 * to the source means nothing there.
 */
function targetSideOf(query: P2PQuery, transformed: boolean): P2PQuery {
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

async function digest(batches: AsyncIterable<readonly Fingerprint[]>): Promise<BucketDigests> {
  const digests = new BucketDigests();
  for await (const batch of batches) for (const { key, content } of batch) digests.add(key, content);
  return digests;
}

async function* fingerprints(
  end: TransferEnd,
  query: P2PQuery,
  transform: Transform | undefined,
  options: VerifyOptions,
  progress: { records: number; tell: ((records: number) => void) | undefined },
): AsyncGenerator<readonly Fingerprint[]> {
  const signal = options.signal ?? new AbortController().signal;
  const breather = new Breather();
  const batches = end.service.readFromSource(query, { batchSize: options.batchSize ?? 1000, signal });
  for await (const batch of readAhead(batches, 1, () => true, signal)) {
    await breather.due();
    const { records, failures } = transform
      ? await transformBatch(batch.records, transform, signal)
      : checkBatch(batch);
    const trouble = failures[0]?.error ?? batch.failures?.[0]?.error;
    if (trouble) {
      throw new P2PError("READ_FAILED", `A record cannot be compared: ${trouble.message}`, { cause: trouble });
    }
    progress.records += records.length;
    progress.tell?.(progress.records);
    yield records.map((record) => ({
      key: idKey(record.id),
      content: hash("sha256", canonicalText(record as P2PValue)).slice(0, 32),
    }));
  }
}
