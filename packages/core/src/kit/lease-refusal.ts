/** Mutual exclusion by leases: who may have one that is there, for stores that do not decide it in a language of their own. */
import type { LeaseAnswer, LeaseRequest } from "../storage/lease.ts";

/** A lease as a store keeps it. */
export interface KeptLease extends Pick<LeaseRequest, "run" | "owner" | "holder"> {
  /** When it expires, in ms by the clock by which it is looked at. */
  readonly until: number;
}

/**
 * The answer to whoever asks for a lease that another has; `undefined` where they may take or renew it. Nothing may come between
 * this look and the write.
 */
export function leaseRefusal(
  there: KeptLease | undefined,
  { run, owner, renew }: Pick<LeaseRequest, "run" | "owner" | "renew">,
  now: number,
): Extract<LeaseAnswer, { held: false }> | undefined {
  if (there === undefined || there.until <= now || there.run === run) return undefined;
  if (!renew && there.owner === owner) return undefined;
  return { held: false, holder: there.holder, expiresInMs: there.until - now };
}
