/** The lease of a follow in its target: taken before the first write, renewed all the while, and asked before each write. */
import { unlessAborted } from "../async/abort.ts";
import { withDeadline } from "../async/deadline.ts";
import { isConnectionError, isP2PError, P2PError, toP2PError } from "../errors.ts";
import { endpointLabel } from "../storage/endpoint.ts";
import type { LeaseAnswer, LeaseRequest } from "../storage/lease.ts";
import type { TransferEnd } from "../transfer/end.ts";
import { LeaseTerm } from "./lease-term.ts";

/** How long a renewal may take, in ms. */
const RENEWAL_MS = 5000;

/** Of one run of a follow, through all openings of its target. */
export interface LeaseTerms extends Pick<LeaseRequest, "name" | "run" | "owner" | "holder"> {
  readonly landsWithin: number;
  /** Told once, when another run has taken it. */
  readonly onLost: (error: P2PError) => void;
}

interface Clock {
  readonly now: () => number;
  readonly term: LeaseTerm;
}

/** A lease that is held in a target. */
export class TargetLease {
  readonly #target: TransferEnd;
  readonly #terms: LeaseTerms;
  /** By a clock that never jumps, and by one that goes on while the host sleeps. */
  readonly #clocks: readonly Clock[];
  #renewing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lost: P2PError | undefined;
  #taken: boolean;

  /** @param taken the run has held it before, by another opening of the target. */
  constructor(target: TransferEnd, terms: LeaseTerms, taken: boolean) {
    this.#target = target;
    this.#terms = terms;
    this.#clocks = [() => performance.now(), () => Date.now()].map((now) => ({
      now,
      term: new LeaseTerm(terms.landsWithin),
    }));
    this.#taken = taken;
  }

  /**
   * Takes it, and renews it from then on.
   *
   * @throws P2PError `LEASE_HELD`, `LEASE_LOST` where the run had it before, `LEASE_UNAVAILABLE`, a connection error.
   */
  async take(signal: AbortSignal): Promise<void> {
    const { service, endpoint } = this.#target;
    if (!service.leases) {
      throw new P2PError(
        "LEASE_UNAVAILABLE",
        `The starter for '${endpoint.storageType}' keeps no leases, so that ${endpointLabel(endpoint)} cannot hold that of a follow`,
      );
    }
    await this.#ask(signal);
    // One that was granted too late has nobody who would end it, and expires.
    signal.throwIfAborted();
    this.#timer = setInterval(() => {
      // What is away is asked again the next time.
      this.#renew().catch(() => {});
    }, this.#clocks[0]!.term.renewEveryMs);
    this.#timer.unref();
  }

  /**
   * Comes back while it is held for long enough to write.
   *
   * @throws P2PError `LEASE_LOST`; a connection error where the target cannot be asked.
   */
  async assertHeld(signal: AbortSignal): Promise<void> {
    if (this.#lost) throw this.#lost;
    if (this.#mayWrite) return;
    await unlessAborted(this.#renew(), signal);
    if (!this.#mayWrite) {
      throw new P2PError("BUSY", `The lease in ${endpointLabel(this.#target.endpoint)} could not be renewed in time`, {
        retryable: true,
      });
    }
  }

  /** Renews it no more. @param giveBack nothing of this run can reach the target any more. */
  async end(giveBack: boolean): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewing?.catch(() => {});
    if (!giveBack || this.#lost || !this.#taken) return;
    const { name, run } = this.#terms;
    await this.#target.service.leases?.release({ name, run }, AbortSignal.timeout(RENEWAL_MS)).catch(() => {});
  }

  get #mayWrite(): boolean {
    return this.#clocks.every(({ now, term }) => term.mayWrite(now()));
  }

  #renew(): Promise<void> {
    const late = () => new P2PError("TIMEOUT", "The target did not answer in time", { retryable: true });
    this.#renewing ??= withDeadline(RENEWAL_MS, undefined, late, (signal) => this.#ask(signal)).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { name, run, owner, holder } = this.#terms;
    const { service, endpoint } = this.#target;
    const askedAt = this.#clocks.map(({ now }) => now());
    const { ttlMs } = this.#clocks[0]!.term;
    let answer: LeaseAnswer;
    try {
      answer = await service.leases!.take({ name, run, owner, holder, ttlMs, renew: this.#taken }, signal);
    } catch (error) {
      signal.throwIfAborted();
      // One that may log in, and may not do this, is no connection that was lost.
      const isRefused = isP2PError(error, "AUTHENTICATION_FAILED");
      if (!isRefused && (isConnectionError(error) || (isP2PError(error) && error.retryable))) throw error;
      if (isP2PError(error, "LEASE_UNAVAILABLE") && !this.#taken) throw error;
      const { message } = toP2PError(error, "LEASE_UNAVAILABLE", "The lease could not be taken");
      throw new P2PError("LEASE_UNAVAILABLE", message, { cause: error, retryable: this.#taken });
    }
    if (answer.held) {
      for (const [at, { term }] of this.#clocks.entries()) term.granted(askedAt[at]!);
      this.#taken = true;
      return;
    }
    const where = `${endpointLabel(endpoint)}: ${answer.holder} holds the lease of the follow "${name}"`;
    if (!this.#taken) {
      const seconds = Math.ceil(answer.expiresInMs / 1000);
      throw new P2PError(
        "LEASE_HELD",
        `${where}, for ${seconds} s more unless it renews it. Stop that one, or wait if it was killed; or give this follow another transferId`,
      );
    }
    const error = new P2PError(
      "LEASE_LOST",
      `${where} now, so that this run of it writes nothing any more. Where both are wanted, give one of them another transferId`,
    );
    this.#lost = error;
    clearInterval(this.#timer);
    this.#terms.onLost(error);
    throw error;
  }
}
