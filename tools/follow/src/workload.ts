import { setTimeout as sleep } from "node:timers/promises";
import type { Commits } from "./commits.ts";
import { documentOf } from "./document.ts";
import type { Writer } from "./writers.ts";

/** Milliseconds between two portions of changes. */
const TICK = 10;
/** Changes under way at a time, so that a slow store slows the workload down instead of filling memory. */
const IN_FLIGHT = 32;

/** The share of inserts whose id was there before. */
const RETURNING = 0.1;
/** The share of updates and deletes that meet one of the few documents changed last. */
const HOT = 0.3;
const FEW = 10;

/** What a workload has done. */
export interface Done {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  /** Changes a second, over the whole time. */
  readonly rate: number;
}

/** A workload of which six changes in ten insert, three update and one deletes. */
export class Workload {
  readonly #writer: Writer;
  readonly #random: () => number;
  readonly #rate: number;
  readonly #commits: Commits;
  readonly #live: string[] = [];
  /** Deleted ones, some of which come back. */
  readonly #gone: string[] = [];
  readonly #counts = { inserted: 0, updated: 0, deleted: 0 };
  #changes = 0;
  #stopped = false;

  /**
   * @param rate changes a second that are aimed at.
   * @param commits hears of each change.
   */
  constructor(writer: Writer, random: () => number, rate: number, commits: Commits) {
    this.#commits = commits;
    this.#writer = writer;
    this.#random = random;
    this.#rate = rate;
  }

  /** How many changes there were: the number of the next one. */
  get changes(): number {
    return this.#changes;
  }

  /** Documents that are there before anyone follows. */
  async fill(documents: number): Promise<void> {
    for (let at = 0; at < documents; at += IN_FLIGHT) {
      await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, documents - at) }, () => this.#insert()));
    }
    // No changes of a source that is followed.
    this.#counts.inserted = 0;
  }

  /** Changes the source until it is stopped. */
  async run(): Promise<Done> {
    const began = performance.now();
    let done = 0;
    while (!this.#stopped) {
      const due = Math.floor(((performance.now() - began) * this.#rate) / 1000) - done;
      // What a slow store did not get through is not made up for all at once.
      const portion = Math.min(due, Math.ceil((this.#rate * TICK) / 500));
      done += due;
      for (let at = 0; at < portion; at += IN_FLIGHT) {
        await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, portion - at) }, () => this.#change()));
      }
      await sleep(TICK);
    }
    const { inserted, updated, deleted } = this.#counts;
    const seconds = (performance.now() - began) / 1000;
    return { inserted, updated, deleted, rate: (inserted + updated + deleted) / seconds };
  }

  /** Changes one document so many times, one after the other; gives the number of the first of these changes. */
  async changeOne(times: number): Promise<number> {
    const first = this.#changes;
    for (let at = 0; at < times; at++) await this.#put("the-one", this.#changes++);
    return first;
  }

  stop(): void {
    this.#stopped = true;
  }

  #change(): Promise<void> {
    const kind = this.#random();
    if (kind < 0.6 || this.#live.length === 0) return this.#insert();
    // Taken out while it is under way: two changes of one document at a time would have no order.
    const among = this.#random() < HOT ? Math.min(FEW, this.#live.length) : this.#live.length;
    const at = this.#live.length - 1 - Math.floor(this.#random() * among);
    const id = this.#live[at]!;
    this.#live[at] = this.#live.at(-1)!;
    this.#live.pop();
    return kind < 0.9 ? this.#update(id) : this.#delete(id);
  }

  async #insert(): Promise<void> {
    const change = this.#changes++;
    const id = (this.#random() < RETURNING && this.#gone.shift()) || `document-${change.toString(36)}`;
    this.#counts.inserted++;
    await this.#put(id, change);
    this.#live.push(id);
  }

  async #update(id: string): Promise<void> {
    this.#counts.updated++;
    await this.#put(id, this.#changes++);
    this.#live.push(id);
  }

  async #put(id: string, change: number): Promise<void> {
    this.#commits.sent(change);
    await this.#writer.put(documentOf(id, change));
    this.#commits.committed(change);
  }

  async #delete(id: string): Promise<void> {
    this.#counts.deleted++;
    await this.#writer.remove(id);
    this.#gone.push(id);
  }
}
