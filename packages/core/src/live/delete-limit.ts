/** The limit on deletes of a mirror or a follow: a source that lost its records does not empty its target. */
import { type FailureTolerance, parseTolerance } from "../config.ts";

/** Deletes that are always allowed unless the caller says otherwise. */
export const FEW_DELETES = 100;

/** The share of the target that may be deleted unless the caller says otherwise. */
const DELETED_SHARE = 0.1;

/** What `maxDeletes` bears at most, where that is less than so many deletes of so many records; `undefined` where it bears them. */
export function exceededLimit(
  deletes: number,
  total: number,
  maxDeletes: FailureTolerance | undefined,
): FailureTolerance | undefined {
  if (maxDeletes !== undefined)
    return parseTolerance(maxDeletes, "maxDeletes")(deletes, total) ? undefined : maxDeletes;
  const most = Math.max(FEW_DELETES, Math.floor(total * DELETED_SHARE));
  return deletes <= most ? undefined : most;
}
