/** Leases of a store in this process, by its own clock. */
import type { LeaseAnswer, LeaseRequest } from "@omni/p2p-core/starter";

interface Held extends Pick<LeaseRequest, "run" | "owner" | "holder"> {
  readonly until: number;
}

export class Leases {
  readonly #held = new Map<string, Held>();

  take({ name, run, owner, holder, ttlMs, renew }: LeaseRequest): LeaseAnswer {
    const now = performance.now();
    const there = this.#held.get(name);
    const isTheirs = there !== undefined && there.until > now && there.run !== run && (renew || there.owner !== owner);
    if (isTheirs) return { held: false, holder: there.holder, expiresInMs: there.until - now };
    this.#held.set(name, { run, owner, holder, until: now + ttlMs });
    return { held: true };
  }

  release({ name, run }: Pick<LeaseRequest, "name" | "run">): void {
    if (this.#held.get(name)?.run === run) this.#held.delete(name);
  }
}
