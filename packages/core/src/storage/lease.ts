/** Leases: a store lets one holder at a time have a name, for as long as it is renewed. */

/** Who wants a lease, and of what. */
export interface LeaseRequest {
  /** What is leased, `[A-Za-z0-9._-]`, at most 200 characters: the id of a follow. It is told apart from the same name in another place of the store. */
  readonly name: string;
  /** The run that asks, a text that no other run shares. */
  readonly run: string;
  /** Whose run it is: the same for all runs that go on from one checkpoint. */
  readonly owner: string;
  /** Host and process, for people. */
  readonly holder: string;
  /** From now on, in ms, by the store's own clock where it has one. */
  readonly ttlMs: number;
  /** The run has held it before: one that another run of the same owner has taken since is not taken back. */
  readonly renew: boolean;
}

/** Whether the lease is held now; if not, who holds it, and for how long it still does unless it renews it. */
export type LeaseAnswer =
  | { readonly held: true }
  | { readonly held: false; readonly holder: string; readonly expiresInMs: number };

/**
 * Keeps leases in a store, apart from its records: what it makes for them is never read, counted, looked up, listed or deleted as a
 * record of any endpoint. Two who ask at once are never both told that they hold it.
 */
export interface LeaseKeeper {
  /**
   * Takes a lease or renews it: where nobody holds it, where it has expired, where this very run holds it, and, unless `renew` is
   * set, where another run of the same owner does.
   *
   * @throws P2PError `LEASE_UNAVAILABLE` where the store cannot hold one (a right is lacking), with the way out; a connection error.
   */
  take(request: LeaseRequest, signal: AbortSignal): Promise<LeaseAnswer>;
  /** Gives a lease back; no error where this run does not hold it. */
  release(request: Pick<LeaseRequest, "name" | "run">, signal: AbortSignal): Promise<void>;
}
