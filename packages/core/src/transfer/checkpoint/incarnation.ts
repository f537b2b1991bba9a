import { isConnectionError, P2PError } from "../../errors.ts";
import { endpointLabel } from "../../storage/endpoint.ts";
import type { P2PQuery } from "../../storage/query.ts";
import type { StoreIdentity } from "../../storage/service.ts";
import type { TransferEnd } from "../end.ts";
import type { Lane } from "../lane.ts";
import type { ResolvedTransfer } from "../options.ts";
import type { Checkpoint, StoreMark } from "./checkpoint.ts";
import { persistentIdentity } from "./identity.ts";
import { keptWitnesses, Witnesses } from "./witnesses.ts";

type Side = "source" | "target";

const REPLACED = "was replaced by another of its name";

/** In words what became of a store since a checkpoint was made, as far as its incarnation tells. */
export function replacement(earlier: StoreMark | undefined, { incarnation }: StoreIdentity): string | undefined {
  if (earlier?.incarnation === undefined || earlier.incarnation === incarnation) return undefined;
  return incarnation === undefined ? "is gone" : REPLACED;
}

/**
 * Sees to it that a transfer ends with the stores it began with: a table, collection, index or keyspace that is dropped, emptied
 * or replaced by another of its name is told, when the transfer is resumed, when a store comes back, and at the end.
 */
export class IncarnationGuard {
  readonly #ends: Readonly<Record<Side, TransferEnd>>;
  readonly #options: ResolvedTransfer;
  readonly #signal: AbortSignal;
  readonly #incarnations: Partial<Record<Side, string>> = {};
  readonly #witnesses: Partial<Record<Side, Witnesses>> = {};
  readonly #earlier: Checkpoint["stores"];
  /**
   * A target that is written from its beginning to its end is not there before, or is another that this one will replace; and
   * one that is unfinished is known by its own position.
   */
  readonly #isMadeAnew: boolean;
  /** The target's things come to be with the first write. */
  #targetKnown = false;
  #asking: Promise<void> = Promise.resolve();
  /** Stores that went away: they are looked at again before anything else is done with them. */
  readonly #lost = new Set<Side>();

  constructor(
    source: TransferEnd,
    target: TransferEnd,
    options: ResolvedTransfer,
    signal: AbortSignal,
    earlier?: Checkpoint,
  ) {
    this.#ends = { source, target };
    this.#options = options;
    this.#signal = signal;
    this.#earlier = earlier?.stores;
    this.#isMadeAnew = target.service.sequential !== undefined && earlier?.status !== "completed";
  }

  /** What the checkpoint keeps of the two. */
  get stores(): Pick<Checkpoint, "stores"> {
    const mark = (side: Side): StoreMark => ({
      ...(this.#incarnations[side] !== undefined && { incarnation: this.#incarnations[side] }),
      ...keptWitnesses(this.#witnesses[side]?.list ?? []),
    });
    const stores = { source: mark("source"), target: mark("target") };
    return Object.keys(stores.source).length + Object.keys(stores.target).length > 0 ? { stores } : {};
  }

  /**
   * Looks at both stores before anything is read.
   *
   * @throws P2PError `SAME_STORE`, or `CHECKPOINT_MISMATCH` when a store is not the one that the checkpoint knows.
   */
  async begin(query: P2PQuery): Promise<void> {
    const [source, target] = await Promise.all([this.#identity("source"), this.#identity("target")]);
    this.#assertTwo(source, target);
    for (const [side, identity] of [["source", source] as const, ["target", target] as const]) {
      const earlier = this.#earlier?.[side];
      if (side === "target" && this.#isMadeAnew) continue;
      const replaced = replacement(earlier, identity);
      if (replaced) throw this.#mismatch(side, replaced);
      const incarnation = earlier?.incarnation ?? identity.incarnation;
      if (incarnation !== undefined) this.#incarnations[side] = incarnation;
      if (identity.certain || identity.volatile) continue;
      const witnesses = new Witnesses(
        this.#ends[side].service,
        side === "source" ? query : undefined,
        earlier?.witnesses,
      );
      this.#witnesses[side] = witnesses;
      const gone = await witnesses.emptied(this.#signal);
      if (gone) throw this.#mismatch(side, `no longer holds what it held then (${gone.join(", ")}, as they were)`);
    }
    this.#targetKnown = target.incarnation !== undefined && !this.#isMadeAnew;
  }

  /** The lane, with a look at a store that went away and came back before it is used again. */
  watch(lane: Lane): Lane {
    const watched = async (side: Side) => {
      if (!this.#lost.delete(side)) return;
      await this.#assertSame(side).catch((error) => {
        this.#lost.add(side);
        throw error;
      });
    };
    const note = (side: Side, error: unknown) => {
      if (isConnectionError(error)) this.#lost.add(side);
    };
    const guard = this;
    return {
      ...lane,
      async *read(query, options) {
        await watched("source");
        try {
          yield* lane.read(query, options);
        } catch (error) {
          note("source", error);
          throw error;
        }
      },
      async write(items, options) {
        await watched("target");
        try {
          const result = await lane.write(items, options);
          const broken = result.failures.find(({ error }) => isConnectionError(error));
          if (broken) note("target", broken.error);
          if (result.written > 0) await guard.#firstWritten();
          if (result.written === items.length) guard.#note("target", items, lane);
          return result;
        } catch (error) {
          note("target", error);
          throw error;
        }
      },
      sift(batch, signal) {
        guard.#note("source", batch.items, lane);
        return lane.sift(batch, signal);
      },
    };
  }

  /**
   * Takes over what a part of this transfer has found its stores to be.
   *
   * @throws P2PError `STORE_CHANGED` when they are not those of the other parts.
   */
  agree({ stores }: Checkpoint): void {
    if (!stores) return;
    for (const side of ["source", "target"] as const) {
      const { incarnation, witnesses } = stores[side];
      const before = this.#incarnations[side];
      if (incarnation !== undefined && before !== undefined && incarnation !== before)
        throw this.#changed(side, REPLACED);
      if (incarnation !== undefined) this.#incarnations[side] = incarnation;
      if (witnesses) this.#witnesses[side]?.adopt(witnesses);
    }
  }

  #note(side: Side, items: readonly unknown[], lane: Lane): void {
    const witnesses = this.#witnesses[side];
    if (!witnesses || items.length === 0) return;
    witnesses.note(items.length, (at) => lane.recordOf(items[at]), this.#signal);
  }

  async #firstWritten(): Promise<void> {
    if (this.#targetKnown) return;
    this.#targetKnown = true;
    const ask = async () => {
      const identity = await this.#identity("target");
      if (identity.incarnation !== undefined) this.#incarnations.target = identity.incarnation;
    };
    this.#asking = ask();
    await this.#asking;
  }

  /**
   * Looks at both stores once more, when everything was written.
   *
   * @throws P2PError `STORE_CHANGED`
   */
  async end(): Promise<void> {
    await this.#asking;
    await Promise.all([this.#assertSame("source"), this.#assertSame("target")]);
    for (const [side, what] of [
      ["source", "no longer holds what was read of it"],
      ["target", "no longer holds what was written to it"],
    ] as const) {
      const gone = await this.#witnesses[side]?.emptied(this.#signal);
      if (gone) throw this.#changed(side, `${what} (${gone.join(", ")})`);
    }
  }

  /** Takes over what a target that is written from its beginning to its end has become when it was finished. */
  async finished(): Promise<void> {
    const { incarnation } = await this.#identity("target");
    if (incarnation !== undefined) this.#incarnations.target = incarnation;
  }

  async #assertSame(side: Side): Promise<void> {
    const incarnation = this.#incarnations[side];
    if (incarnation === undefined) return;
    const replaced = replacement({ incarnation }, await this.#identity(side));
    if (replaced) throw this.#changed(side, replaced);
  }

  #identity(side: Side): Promise<StoreIdentity> {
    return persistentIdentity(this.#ends[side], this.#options.config, this.#signal);
  }

  #assertTwo(source: StoreIdentity, target: StoreIdentity): void {
    const { source: from, target: to } = this.#ends;
    if (from.endpoint.storageType !== to.endpoint.storageType || this.#options.config.allowSameStore) return;
    if (source.thing !== undefined && source.thing === target.thing) {
      throw new P2PError(
        "SAME_STORE",
        `${endpointLabel(from.endpoint)} and ${endpointLabel(to.endpoint)} are one and the same; name another target, or set allow_same_store to move its records onto themselves`,
      );
    }
    const written = new Set([target.thing, ...(target.things ?? [])]);
    if (!(source.things ?? [source.thing]).some((thing) => thing !== undefined && written.has(thing))) return;
    throw new P2PError(
      "SAME_STORE",
      `What ${endpointLabel(to.endpoint)} writes is among what ${endpointLabel(from.endpoint)} reads, so it would be copied into itself; write elsewhere, name the source so that it leaves that out, or set allow_same_store`,
    );
  }

  #mismatch(side: Side, what: string): P2PError {
    return new P2PError(
      "CHECKPOINT_MISMATCH",
      `The transfer "${this.#options.transferId}" cannot be resumed, since this changed: the ${side} ${endpointLabel(this.#ends[side].endpoint)} ${what}. Start it anew without resume`,
    );
  }

  #changed(side: Side, what: string): P2PError {
    return new P2PError(
      "STORE_CHANGED",
      `The ${side} ${endpointLabel(this.#ends[side].endpoint)} ${what} while the transfer "${this.#options.transferId}" was under way; see what happened to it, and start the transfer anew without resume`,
    );
  }
}
