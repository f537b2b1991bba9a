/** Live comparisons while hundreds of writes a second reach the source, and the target some seconds later. */
import { setTimeout as sleep } from "node:timers/promises";
import { check, type Report } from "@omni/p2p-chaos/report";
import type { P2PRecord } from "@omni/p2p-core";
import type { P2PDataTransferService } from "@omni/p2p-core/starter";
import type { Places, Store } from "@omni/p2p-matrix/stores";
import { fill, recordsOf } from "./drift.ts";
import { newManager, openStore } from "./stores.ts";

/** The directions that are compared. */
export const COMPARED: readonly (readonly [source: Store, target: Store])[] = [
  ["memory", "memory"],
  ["sqlite", "redis"],
  ["sqlite", "postgresql"],
];

/** Records of both sides at first. */
const RECORDS = 5000;

/** Faults planted in each run. */
const FAULTS = 5;

/** Writes reach the source so often, in ms, and so many of them come at once: 500 a second. */
const EVERY_MS = 20;
const AT_ONCE = 10;

/** Runs that do not count, since the machine brought changes later than was promised, or wrote too little. */
const MOST_UNFIT = 5;

/** How a run is made. */
export interface LiveSettings {
  /** A change reaches the target after so long, in ms: from, and to. */
  readonly lagMs: readonly [number, number];
  readonly settleMs: number;
  /** Writes a second that there are at least, or the run does not count. */
  readonly leastRate: number;
}

/** As it is kept on file. */
const BY_HAND: LiveSettings = { lagMs: [2000, 3000], settleMs: 4500, leastRate: 450 };

/** Compares two stores that change all the while. */
export async function proveLive(
  report: Report,
  places: Places,
  from: Store,
  to: Store,
  runs: number,
  random: () => number,
  settings = BY_HAND,
): Promise<void> {
  for (let run = 0; run < runs; run++) {
    await report.run(`live verify: ${from} -> ${to}`, async () => {
      for (let unfit = 0; ; unfit++) {
        check(unfit <= MOST_UNFIT, "the machine is too slow for the changes that the proof makes");
        const told = await liveRun(places.fresh(from), places.fresh(to), random, settings);
        if (told !== undefined) return told;
      }
    });
  }
}

/** @returns `undefined` where the run does not count. */
async function liveRun(
  source: string,
  target: string,
  random: () => number,
  { lagMs, settleMs, leastRate }: LiveSettings,
): Promise<string | undefined> {
  const [sourceStore, targetStore] = [await openStore(source), await openStore(target)];
  const manager = newManager();
  try {
    await fill(sourceStore, RECORDS);
    await fill(targetStore, RECORDS);
    const changes = new Changes(sourceStore, targetStore, random, lagMs);
    const planted = await changes.plant(FAULTS);
    const working = changes.work();
    // So that changes are under way when the comparison begins.
    await Promise.race([working, sleep(lagMs[1])]);
    const { connectionId } = await manager.establish(source, target);
    const found = await manager
      .verify(connectionId, {}, { live: true, settle: settleMs })
      .finally(() => changes.stop());
    await working;
    const { rate, slowestMs } = changes;
    if (rate < leastRate || slowestMs > settleMs) return undefined;
    const told = found.differences.filter(({ kind }) => kind !== "unsettled").map(({ kind, id }) => `${kind} ${id}`);
    const expected = [...planted].sort().join(", ");
    check(told.sort().join(", ") === expected, `told ${told.join(", ") || "nothing"}, planted was ${expected}`);
    const { missing, different, extra, unsettled } = found;
    check(missing + different + extra === FAULTS, `${missing} missing, ${different} different, ${extra} extra`);
    return `${Math.round(rate)} writes/s, brought over within ${Math.round(slowestMs)} ms; ${FAULTS} faults found, ${unsettled} unsettled`;
  } finally {
    await manager.close();
    await Promise.all([sourceStore.close(), targetStore.close()]);
  }
}

/** A change of the source, which the target has yet to get: the record, or that it is gone. */
interface Change {
  readonly id: string;
  readonly record: P2PRecord | undefined;
  readonly writtenAt: number;
  readonly dueAt: number;
}

/** Changes the source, and brings the changes over. */
class Changes {
  readonly #source: P2PDataTransferService;
  readonly #target: P2PDataTransferService;
  readonly #random: () => number;
  readonly #lagMs: readonly [number, number];
  readonly #signal = new AbortController().signal;
  readonly #all = recordsOf(RECORDS);
  readonly #planted = new Set<string>();
  readonly #queue: Change[] = [];
  #isOver = false;
  #writes = 0;
  #tookMs = 0;
  /** The longest that a change took to the target, in ms. */
  slowestMs = 0;

  constructor(
    source: P2PDataTransferService,
    target: P2PDataTransferService,
    random: () => number,
    lagMs: readonly [number, number],
  ) {
    this.#source = source;
    this.#target = target;
    this.#random = random;
    this.#lagMs = lagMs;
  }

  /** Writes a second that there were. */
  get rate(): number {
    return (this.#writes * 1000) / this.#tookMs;
  }

  stop(): void {
    this.#isOver = true;
  }

  /** Makes differences that nobody brings over, as a lost change leaves them. @returns what is to be told of each. */
  async plant(count: number): Promise<string[]> {
    const told: string[] = [];
    for (let at = 0; at < count; at++) {
      const record = this.#pick();
      const id = String(record.id);
      this.#planted.add(id);
      const kind = (["missing", "different", "extra"] as const)[at % 3]!;
      if (kind === "different") await this.#write(this.#source, [{ ...record, title: "a change that was lost" }]);
      else await this.#delete(kind === "missing" ? this.#target : this.#source, [id]);
      told.push(`${kind} ${id}`);
    }
    return told;
  }

  async work(): Promise<void> {
    await Promise.all([this.#change(), this.#bring()]);
  }

  async #change(): Promise<void> {
    const startedAt = performance.now();
    for (let step = 1; !this.#isOver; step++) {
      const chosen = new Map<string, P2PRecord>();
      while (chosen.size < AT_ONCE) {
        const record = this.#pick();
        chosen.set(String(record.id), record);
      }
      const [gone, ...written] = [...chosen.values()];
      const changed = written.map((record) => ({ ...record, title: `Title ${this.#random()}` }));
      await this.#write(this.#source, changed);
      await this.#delete(this.#source, [String(gone!.id)]);
      const writtenAt = performance.now();
      for (const record of changed) this.#enqueue(String(record.id), record, writtenAt);
      this.#enqueue(String(gone!.id), undefined, writtenAt);
      this.#writes += AT_ONCE;
      this.#tookMs = performance.now() - startedAt;
      await sleep(Math.max(0, startedAt + step * EVERY_MS - performance.now()));
    }
  }

  async #bring(): Promise<void> {
    while (!this.#isOver) {
      const now = performance.now();
      const due = this.#queue.findIndex(({ dueAt }) => dueAt > now);
      const changes = this.#queue.splice(0, due < 0 ? this.#queue.length : due);
      // Of several changes of one record the last counts.
      const last = new Map(changes.map((change) => [change.id, change]));
      const written = [...last.values()].flatMap(({ record }) => (record ? [record] : []));
      const gone = [...last.values()].filter(({ record }) => record === undefined).map(({ id }) => id);
      if (written.length > 0) await this.#write(this.#target, written);
      if (gone.length > 0) await this.#delete(this.#target, gone);
      const [oldest] = changes;
      if (oldest) this.slowestMs = Math.max(this.slowestMs, performance.now() - oldest.writtenAt);
      await sleep(EVERY_MS);
    }
  }

  #enqueue(id: string, record: P2PRecord | undefined, writtenAt: number): void {
    const [least, most] = this.#lagMs;
    // Never before those that came before it.
    const dueAt = Math.max(this.#queue.at(-1)?.dueAt ?? 0, writtenAt + least + this.#random() * (most - least));
    this.#queue.push({ id, record, writtenAt, dueAt });
  }

  #pick(): P2PRecord {
    for (;;) {
      const record = this.#all[Math.floor(this.#random() * this.#all.length)]!;
      if (!this.#planted.has(String(record.id))) return record;
    }
  }

  async #write(store: P2PDataTransferService, records: readonly P2PRecord[]): Promise<void> {
    const { failures } = await store.writeToTarget(records, { mode: "upsert", signal: this.#signal });
    check(failures.length === 0, `a write failed: ${failures[0]?.error.message}`);
  }

  async #delete(store: P2PDataTransferService, ids: readonly string[]): Promise<void> {
    const { failures } = await store.deleteFromTarget!(
      ids.map((id) => ({ id })),
      { signal: this.#signal },
    );
    check(failures.length === 0, `a delete failed: ${failures[0]?.error.message}`);
  }
}
