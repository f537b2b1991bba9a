import { type FailureTolerance, parseTolerance } from "../config.ts";
import { P2PError } from "../errors.ts";
import type { MutableRecord } from "../model/record.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { TransferOptions } from "../transfer/options.ts";
import type { TransferResult } from "../transfer/result.ts";
import type { Difference } from "../transfer/verify/finder.ts";

/** What a mirror does at the moment, and how far it is. */
export interface MirrorProgress {
  readonly phase: "comparing" | "writing" | "deleting";
  /** Records of this phase so far: while comparing, of both sides together. */
  readonly records: number;
  /** Of how many, as far as that is known. */
  readonly total: number | undefined;
}

/** What a mirror alone can be told. */
interface OwnOptions {
  /**
   * What becomes of records that only the target has: `"remove"` takes them out, `"keep"` leaves them. The first mirror onto a target
   * that holds something must be told; later ones of the same `transferId`, source, target and query
   * remember it. Default: `"remove"` where the target is empty.
   */
  readonly deletes?: "remove" | "keep" | undefined;
  /**
   * Records that may be taken out of the target: a number, a share of the target such as `"5%"`, `"none"` or `"all"`. With more nothing
   * is changed, and the mirror ends with `TOO_MANY_DELETES`. Default: 10 % of the target, but never fewer than 100.
   */
  readonly maxDeletes?: FailureTolerance | undefined;
  /** Take out all of the target's records where the source holds none, which is refused with `EMPTY_SOURCE` otherwise. Default `false`. */
  readonly allowEmptySource?: boolean | undefined;
  /**
   * Which records of the target are those of the source's query. Default: those that meet the same conditions; it must be given where
   * the target cannot be asked for these.
   */
  readonly targetQuery?: P2PQuery | undefined;
  /** Compare, tell what would be done, and change nothing. Default `false`. */
  readonly dryRun?: boolean | undefined;
  /** Called after each batch; nobody waits for it. */
  readonly onProgress?: ((progress: MirrorProgress) => unknown) | undefined;
}

/**
 * Options of a mirror: those of a transfer, and its own. `mode` and `partitions` have no meaning here and are refused. `resume` goes on
 * after a run that was cut off: both sides are read again, since what was found then is old by now.
 */
export interface MirrorOptions<In extends object = MutableRecord>
  extends Omit<TransferOptions<In>, "mode" | "partitions" | "onProgress" | "progressInterval" | "since">,
    OwnOptions {}

/**
 * What a mirror did. The counts are those of its writes: `totalRecords` of them, `successCount` written, `skippedCount` no longer in
 * the source when they were looked up. A resumed mirror counts what it did itself.
 */
export interface MirrorResult extends TransferResult {
  readonly deletedCount: number;
  /** Records of the target alone that were left: as told, or since the source had them again, they had changed, or could not be told. */
  readonly keptCount: number;
  /** Records that each side held when it was compared. */
  readonly sourceCount: number;
  readonly targetCount: number;
  /** What the comparison found. */
  readonly missing: number;
  readonly different: number;
  readonly extra: number;
  /** Records that a side could not read. While there are any in the source, nothing is deleted. */
  readonly unreadable: number;
  /** What became of records that only the target has. */
  readonly deletes: "remove" | "keep";
  /** Of a dry run, some of what would be done: the first found of each kind, at most ten, with the fields that differ. */
  readonly samples?: readonly Difference[];
  /** Of a dry run: the real one would end with this error. */
  readonly refusal?: P2PError;
}

/** A mirror's own options, and what is left for a transfer. */
export interface SplitOptions {
  readonly own: OwnOptions;
  readonly rest: TransferOptions;
}

/** @throws P2PError `INVALID_CONFIG`, naming the option. */
export function splitOptions(options: MirrorOptions): SplitOptions {
  const { deletes, maxDeletes, allowEmptySource, targetQuery, dryRun, onProgress, ...rest } = options;
  for (const name of ["mode", "partitions", "progressInterval", "since"] as const) {
    if ((rest as TransferOptions)[name] !== undefined)
      throw invalid(`"${name}" has no meaning for a mirror; leave it out`);
  }
  const flags = { allowEmptySource, dryRun };
  for (const [name, value] of Object.entries(flags)) {
    if (value !== undefined && typeof value !== "boolean") throw invalid(`"${name}" must be true or false`);
  }
  if (deletes !== undefined && deletes !== "remove" && deletes !== "keep") {
    throw invalid('"deletes" must be "remove" or "keep"');
  }
  if (onProgress !== undefined && typeof onProgress !== "function") throw invalid('"onProgress" must be a function');
  if (maxDeletes !== undefined) parseTolerance(maxDeletes, "maxDeletes");
  return { own: { deletes, maxDeletes, allowEmptySource, targetQuery, dryRun, onProgress }, rest };
}

function invalid(what: string): P2PError {
  return new P2PError("INVALID_CONFIG", `Invalid configuration: ${what}`);
}
