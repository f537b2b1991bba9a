/** The scheduler of change data capture: which ids are reconciled when, and up to where the feed's position is safe. */
import type { JsonValue } from "../model/json-value.ts";
import { idKey } from "../model/record.ts";
import type { IdRef } from "../storage/id-ref.ts";

/**
 * The rules of the protocol; with all of them the target of a follow becomes equal to its source, whatever happens:
 * - `collect`: while everything is copied or mirrored, ids are collected alone;
 * - `serial`: one id is reconciled by one at a time;
 * - `fresh`: a look-up is made where and when it sees the change that named the id;
 * - `again`: an id whose write got no clear answer is reconciled once more when that write can no longer land;
 * - `fence`: after a start that was not clean, the ids since the checkpoint are reconciled once more after the same time;
 * - `settled`: the saved position is just before the oldest id that is not settled.
 */
export type FollowRule = "collect" | "serial" | "fresh" | "again" | "fence" | "settled";

export const FOLLOW_RULES: readonly FollowRule[] = ["collect", "serial", "fresh", "again", "fence", "settled"];

/** What the scheduler lets be done, and the clock it goes by. */
export interface FollowEffects {
  /** Calls a step after so many ms. */
  later(ms: number, step: () => void): void;
  /**
   * Looks these up, writes them or takes them out, and tells when all of it is acknowledged or in the dead letters.
   *
   * @param visible the position up to which a look-up must see changes.
   */
  reconcile(refs: readonly IdRef[], visible: JsonValue | undefined, done: () => void): void;
  /** All that was collected and kept apart is settled. */
  keptSettled(): void;
  /** Something moved: the position, what waits, or what is under way. */
  moved(): void;
}

/** How the scheduler works. */
export interface FollowTerms {
  /** The longest time in which a write without an answer may still land, in ms. */
  readonly landsWithin: number;
  /** How long changes are gathered before they are reconciled, in ms, so that many of one record cost one write. */
  readonly gather: number;
  readonly batchSize: number;
  /** Rounds at a time. */
  readonly concurrency: number;
  /** Where the feed is read on. */
  readonly position: JsonValue;
  /** The run before ended without writes whose fate was unknown, or there was none. */
  readonly clean: boolean;
  /** Everything is to be copied or mirrored first. */
  readonly collecting: boolean;
  /** Default: all. */
  readonly rules?: ReadonlySet<FollowRule>;
}

/** A piece of the feed, and how many of its ids are not settled. */
interface Batch {
  readonly cursor: JsonValue;
  open: number;
}

/** An id that waits. */
interface Entry {
  readonly ref: IdRef;
  readonly batches: Set<Batch>;
}

/** Ids that are reconciled once more when a write of them can no longer land. */
interface Unclear {
  readonly entries: readonly Entry[];
  /** Those of them that belong to no piece of the feed. */
  blocking: number;
}

/** Decides by what happened alone: it reads no store, no file and no clock. */
export class FollowScheduler {
  readonly #effects: FollowEffects;
  readonly #terms: FollowTerms;
  readonly #rules: ReadonlySet<FollowRule>;
  readonly #waiting = new Map<string, Entry>();
  readonly #busy = new Map<string, Entry>();
  /** Told and not settled, in order. */
  readonly #batches: Batch[] = [];
  /** Of ids that are kept apart from the position. */
  readonly #kept: Batch = { cursor: null, open: 0 };
  /** Of ids that no piece of the feed still stands for, and that are reconciled once more: nothing is safe before they are. */
  readonly #oncemore: Batch = { cursor: null, open: 0 };
  /** Ids since the checkpoint, as long as writes of the run before may land. */
  #since: Map<string, IdRef> | undefined;
  #told: JsonValue;
  #settled: JsonValue;
  #safe: JsonValue;
  /** Writes without an answer that belong to no piece of the feed: nothing is safe before they can no longer land. */
  #blocking = 0;
  /** Writes without an answer, of any kind, until they can no longer land. */
  readonly #unclear = new Set<Unclear>();
  #unsure = 0;
  #rounds = 0;
  #collecting: boolean;
  #held = false;
  #stopped = false;
  #gathering = false;

  constructor(terms: FollowTerms, effects: FollowEffects) {
    this.#terms = terms;
    this.#effects = effects;
    this.#rules = terms.rules ?? new Set(FOLLOW_RULES);
    this.#told = terms.position;
    this.#settled = terms.position;
    this.#safe = terms.position;
    this.#collecting = terms.collecting;
    if (terms.clean || !this.#rules.has("fence")) return;
    this.#since = new Map();
    effects.later(terms.landsWithin, () => this.#fence());
  }

  /** The position from which the next run may go on. */
  get position(): JsonValue {
    return this.#rules.has("settled") ? this.#safe : this.#told;
  }

  /** Whether writes of the run before may still land: a copy or a mirror waits for it. */
  get isFencing(): boolean {
    return this.#since !== undefined;
  }

  /** Whether there is no write whose fate is unknown, so that the next run need not wait for one. */
  get isClean(): boolean {
    return this.#since === undefined && this.#unsure + this.#oncemore.open === 0 && this.#rounds === 0;
  }

  /** Whether nothing waits and nothing is under way. */
  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#rounds === 0;
  }

  /** Ids that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether all that was kept apart is settled. */
  get isKeptSettled(): boolean {
    return (
      this.#kept.open === 0 &&
      !this.#collecting &&
      this.#since === undefined &&
      this.#blocking + this.#oncemore.open === 0
    );
  }

  /** Reconciliations under way. */
  get rounds(): number {
    return this.#rounds;
  }

  /**
   * The feed has told of some ids.
   *
   * @param kept they are kept apart, durably: the position may pass them.
   */
  told(refs: readonly IdRef[], cursor: JsonValue, kept = false): void {
    const batch: Batch = { cursor, open: 0 };
    for (const ref of refs) this.#enqueue(ref, kept ? this.#kept : batch);
    this.#batches.push(batch);
    this.#told = cursor;
    this.#settle();
    this.#gather();
  }

  /** Ids that the run before had collected, and kept apart. */
  restore(refs: readonly IdRef[]): void {
    for (const ref of refs) this.#enqueue(ref, this.#kept);
    this.#gather();
  }

  /** Everything is copied or mirrored: what was collected meanwhile is reconciled from now on. */
  complete(): void {
    this.#collecting = false;
    this.#pump();
  }

  /**
   * Changes were lost, and a mirror is to make up for them: ids are collected alone until it is complete.
   *
   * @param position the new one; what waits still is reconciled all the same. Default: the feed goes on as it is.
   */
  collect(position?: JsonValue): void {
    this.#collecting = true;
    if (position === undefined) return;
    // The mirror stands for all that was told before.
    this.#batches.push({ cursor: position, open: 0 });
    for (const batch of this.#batches) batch.open = 0;
    for (const { batches } of [...this.#waiting.values(), ...this.#busy.values()]) this.#dropPieces(batches);
    // A write without an answer may land after the mirror, and nothing else holds the position for it now.
    for (const unclear of this.#unclear) {
      for (const { batches } of unclear.entries) {
        if (batches.size === 0) continue;
        this.#dropPieces(batches);
        if (batches.size > 0) continue;
        unclear.blocking++;
        this.#blocking++;
      }
    }
    this.#told = position;
    this.#settle();
  }

  #dropPieces(batches: Set<Batch>): void {
    for (const batch of batches) if (batch !== this.#kept && batch !== this.#oncemore) batches.delete(batch);
  }

  /** Nothing new is begun until it is let go on. */
  hold(): void {
    this.#held = true;
  }

  goOn(): void {
    this.#held = false;
    this.#pump();
  }

  /** Nothing new is begun any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** A write or delete of these got no clear answer. */
  unclear(refs: readonly IdRef[]): void {
    if (!this.#rules.has("again") || refs.length === 0) return;
    const again: Entry[] = [];
    let blocking = 0;
    for (const ref of refs) {
      const batches = new Set(this.#busy.get(idKey(ref.id))?.batches);
      for (const batch of batches) batch.open++;
      if (batches.size === 0) blocking++;
      again.push({ ref, batches });
    }
    this.#unsure += again.length;
    this.#blocking += blocking;
    const unclear: Unclear = { entries: again, blocking };
    this.#unclear.add(unclear);
    this.#effects.later(this.#terms.landsWithin, () => {
      this.#unclear.delete(unclear);
      this.#unsure -= again.length;
      for (const { ref, batches } of again) {
        if (batches.size === 0) this.#enqueue(ref, this.#oncemore);
        for (const one of batches) {
          this.#enqueue(ref, one);
          one.open--;
        }
      }
      this.#blocking -= unclear.blocking;
      this.#settle();
      this.#pump();
    });
  }

  #fence(): void {
    const since = this.#since!;
    this.#since = undefined;
    if (since.size > 0) {
      for (const ref of since.values()) this.#enqueue(ref, this.#oncemore);
    }
    this.#settle();
    this.#pump();
  }

  #enqueue(ref: IdRef, batch: Batch): void {
    const key = idKey(ref.id);
    this.#since?.set(key, ref);
    const there = this.#waiting.get(key);
    if (there?.batches.has(batch)) return;
    batch.open++;
    const batches = there?.batches ?? new Set<Batch>();
    batches.add(batch);
    this.#waiting.set(key, { ref, batches });
  }

  #gather(): void {
    if (this.#gathering || this.#waiting.size === 0) return;
    if (this.#terms.gather === 0) {
      this.#pump();
      return;
    }
    this.#gathering = true;
    this.#effects.later(this.#terms.gather, () => {
      this.#gathering = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#stopped || this.#held || (this.#collecting && this.#rules.has("collect"))) return;
    while (this.#rounds < this.#terms.concurrency && this.#waiting.size > 0) {
      const round = this.#next();
      if (round.length === 0) return;
      this.#rounds++;
      for (const [key, entry] of round) {
        this.#waiting.delete(key);
        this.#busy.set(key, entry);
      }
      const visible = this.#rules.has("fresh") ? this.#told : undefined;
      this.#effects.reconcile(
        round.map(([, { ref }]) => ref),
        visible,
        () => this.#done(round),
      );
    }
  }

  #next(): [string, Entry][] {
    const round: [string, Entry][] = [];
    for (const one of this.#waiting) {
      if (this.#rules.has("serial") && this.#busy.has(one[0])) continue;
      round.push(one);
      if (round.length >= this.#terms.batchSize) break;
    }
    return round;
  }

  #done(round: readonly [string, Entry][]): void {
    this.#rounds--;
    for (const [key, entry] of round) {
      if (this.#busy.get(key) === entry) this.#busy.delete(key);
      for (const batch of entry.batches) batch.open--;
    }
    this.#settle();
    this.#pump();
    this.#effects.moved();
  }

  #settle(): void {
    let settled = 0;
    while (settled < this.#batches.length && this.#batches[settled]!.open === 0) {
      this.#settled = this.#batches[settled++]!.cursor;
    }
    this.#batches.splice(0, settled);
    if (this.#since || this.#blocking > 0 || this.#oncemore.open > 0) return;
    this.#safe = this.#settled;
    if (this.isKeptSettled) this.#effects.keptSettled();
  }
}
