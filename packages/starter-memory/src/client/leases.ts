/** Leases of a store in this process, by its own clock. */
import { type KeptLease, type LeaseAnswer, type LeaseRequest, leaseRefusal } from "@omni/p2p-core/starter";

export class Leases {
  readonly #held = new Map<string, KeptLease>();

  take(request: LeaseRequest): LeaseAnswer {
    const { name, run, owner, holder, ttlMs } = request;
    const now = performance.now();
    const refusal = leaseRefusal(this.#held.get(name), request, now);
    if (refusal) return refusal;
    this.#held.set(name, { run, owner, holder, until: now + ttlMs });
    return { held: true };
  }

  release({ name, run }: Pick<LeaseRequest, "name" | "run">): void {
    if (this.#held.get(name)?.run === run) this.#held.delete(name);
  }
}
