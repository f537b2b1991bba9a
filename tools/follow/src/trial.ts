/** One trial: a source that is changed all the while, followed into two targets through every disturbance. */
import { setTimeout as sleep } from "node:timers/promises";
import { FaultProxy } from "@omni/p2p-chaos/fault-proxy";
import { check } from "@omni/p2p-chaos/report";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { unlessLate } from "@omni/p2p-core/starter";
import type { Places } from "@omni/p2p-matrix/stores";
import { Client } from "pg";
import { Commits, quantile } from "./commits.ts";
import { enableFeed, type Feed } from "./feeds.ts";
import { type Follower, InProcessFollower, ProcessFollower } from "./follower.ts";
import { JOURNAL, LOSSES } from "./losses.ts";
import type { Outcome } from "./outcome.ts";
import { partsOf, portOf, through } from "./places.ts";
import { Workload } from "./workload.ts";
import { openWriter } from "./writers.ts";

/** How long, and with how many disturbances. */
export interface Terms {
  /** Seconds with disturbances, and without them afterwards: lag is measured in these. */
  readonly seconds: number;
  readonly calmSeconds: number;
  readonly kills: number;
  readonly cuts: number;
  readonly losses: number;
  /** A third follower that nobody disturbs: its lag and its memory are those of the whole time. */
  readonly steady: boolean;
  /** Whether lag is held to what must be reached, or only told: beside other trials it says little. */
  readonly strict: boolean;
}

/** Documents that are there before. */
const FILLED = 5000;
/** The longest time until the targets must be equal once the source rests, in ms. */
const REST_MS = 90_000;
/** How long a disturbance may take to be felt, in ms. */
const FELT_MS = 60_000;
/** One comparison may take so long, in ms. */
const VERIFY_MS = 60_000;
/** Lag is measured so long after the last disturbance, in ms. */
const SETTLED_MS = 4000;
/** An idle position is saved so often at least, with some grace, in ms. */
const IDLE_MS = 12_000;
/** Changes of one record, and the most that they may cost. */
const OF_ONE = 1000;
const MOST_WRITES = OF_ONE / 2;
/** What must be reached, in ms. */
const MEDIAN_LAG_MS = 250;
const MOST_LAG_MS = 1000;
/** Growth of the heap that is none: from the second quarter of a run to the last, in MB. */
const FLAT_MB = 10;
/** A run as long as this tells of memory, in seconds. */
const TELLS_OF_MEMORY = 120;

/**
 * Follows a source that is changed all the while, through every disturbance.
 *
 * @throws what went wrong.
 */
export async function follows(places: Places, feed: Feed, terms: Terms, random: () => number): Promise<Outcome> {
  const trial = new Trial(places, feed, terms, random);
  const longest = (terms.seconds + terms.calmSeconds) * 1000 + 2 * REST_MS + (terms.losses + terms.kills) * FELT_MS;
  try {
    return await unlessLate(trial.run(), longest, () => new Error(`not done after ${longest / 1000} s`));
  } catch (error) {
    for (const line of trial.stories) console.error(line);
    throw error;
  } finally {
    await trial.dispose();
  }
}

class Trial {
  readonly #feed: Feed;
  readonly #terms: Terms;
  readonly #random: () => number;
  readonly #commits = new Commits();
  readonly #source: string;
  readonly #targets: readonly string[];
  readonly #proxies = new Map<number, FaultProxy>();
  readonly #cleanups: (() => void | Promise<void>)[] = [];
  #cuts = 0;
  readonly #lost: string[] = [];
  /** Those that are disturbed. */
  readonly #followers: Follower[] = [];
  #steady: ProcessFollower | undefined;

  constructor(places: Places, feed: Feed, terms: Terms, random: () => number) {
    this.#feed = feed;
    this.#terms = terms;
    this.#random = random;
    const source = places.fresh(feed.source);
    this.#source = feed.source === "memory" ? `${source}?journal=${JOURNAL}` : source;
    this.#targets = feed.targets.map((target) => places.fresh(target));
    // A memory store is this process's own: a third process could not see it.
    if (terms.steady && feed.source !== "memory") {
      const id = `proof-${feed.source}-steady`;
      this.#steady = new ProcessFollower(source, places.fresh("sqlite"), id, this.#commits, true);
    }
  }

  get #all(): readonly Follower[] {
    return this.#steady ? [...this.#followers, this.#steady] : this.#followers;
  }

  /** What happened, of late. */
  get stories(): readonly string[] {
    return [`${this.#feed.source}: ${this.#harms.join("; ")}`, ...this.#all.map(({ story }) => story)];
  }

  readonly #harms: string[] = [];

  #note(harm: string): void {
    this.#harms.push(`${new Date().toISOString().slice(14, 23)} ${harm}`);
  }

  async run(): Promise<Outcome> {
    const { seconds, calmSeconds } = this.#terms;
    const writer = await openWriter(this.#source);
    this.#cleanups.push(() => writer.close());
    const workload = new Workload(writer, this.#random, this.#feed.rate, this.#commits);
    this.#cleanups.push(() => workload.stop());
    await this.#openFollowers();
    await workload.fill(FILLED);
    await enableFeed(this.#source);
    const done = workload.run();
    // Awaited below; until then its failure is not to end the process, and with it the report.
    done.catch(() => {});
    await Promise.all(this.#all.map((follower) => follower.start()));
    await this.#steady?.until(() => this.#steady!.status === "live", "was not live", REST_MS);
    this.#steady?.lags.begin();
    await this.#disturb(seconds);
    await Promise.all(this.#all.map((one) => one.until(() => one.status === "live", "was not live", REST_MS)));
    await sleep(SETTLED_MS);
    for (const { lags } of this.#all) if (!lags.hasBegun) lags.begin();
    await sleep(calmSeconds * 1000);
    workload.stop();
    const did = await unlessLate(done, REST_MS, () => new Error("the workload did not end"));
    const rested = await this.#untilEqual();
    const writes = await this.#writesOfOne(workload);
    const idle = await this.#idleSave();
    const verify = await this.#atRest();
    const lag = this.#lag();
    const memory = this.#memory();
    await Promise.all(this.#all.map((follower) => follower.stop()));
    for (const { error, transferId } of this.#all) check(error === undefined, `${transferId} ended with: ${error}`);
    return {
      feed: this.#feed.source,
      targets: this.#feed.targets.join(", "),
      rate: `${Math.round(did.rate)} of ${this.#feed.rate}/s`,
      changes: `${did.inserted} + ${did.updated} + ${did.deleted}`,
      kills: told(this.#followers.flatMap(({ killed }) => killed)),
      cuts: this.#cuts,
      losses: told(this.#lost),
      mirrors: this.#all.reduce((sum, { mirrored }) => sum + mirrored, 0),
      "lag, median": lag.median,
      "lag, 99 %": lag.most,
      "writes of 1000": writes,
      "idle save": `${(idle / 1000).toFixed(1)} s`,
      memory,
      "equal after": `${(rested / 1000).toFixed(1)} s`,
      verify,
    };
  }

  /** Each by way of proxies, whose connections are cut. */
  async #openFollowers(): Promise<void> {
    const seen = await this.#proxied(this.#source);
    const Kind = this.#feed.source === "memory" ? InProcessFollower : ProcessFollower;
    for (const [at, target] of this.#targets.entries()) {
      const id = `proof-${this.#feed.source}-${at}`;
      this.#followers.push(new Kind(seen, await this.#proxied(target), id, this.#commits));
    }
  }

  async #proxied(place: string): Promise<string> {
    const port = portOf(place);
    if (port === undefined) return place;
    const proxy = this.#proxies.get(port) ?? (await FaultProxy.open(port, this.#random));
    this.#proxies.set(port, proxy);
    proxy.faults.latencyMs = 0;
    return through(place, proxy.port);
  }

  /** Kills, cuts and losses, at random moments one after the other. The first kill comes as early as it may: into the copy. */
  async #disturb(seconds: number): Promise<void> {
    const { kills, cuts, losses } = this.#terms;
    const harms = shuffled(
      [
        ...Array.from({ length: Math.max(0, kills - 1) }, () => () => this.#any().kill()),
        ...Array.from({ length: cuts }, () => () => this.#cut()),
        ...Array.from({ length: losses }, (_, at) => () => this.#lose(at)),
      ],
      this.#random,
    );
    const began = performance.now();
    if (kills > 0) {
      const first = this.#any();
      await first.until(() => first.status !== undefined, "told nothing");
      await first.kill();
    }
    const moments = harms.map(() => this.#random() * seconds * 900).sort((a, b) => a - b);
    for (const [at, harm] of harms.entries()) {
      await sleep(Math.max(0, began + moments[at]! - performance.now()));
      await harm();
    }
    await sleep(Math.max(0, began + seconds * 1000 - performance.now()));
    check(
      this.#followers.some(({ collected }) => collected !== undefined && collected > 0),
      "nothing changed while it was copied",
    );
  }

  #any(): Follower {
    return this.#followers[Math.floor(this.#random() * this.#followers.length)]!;
  }

  /** Cuts every connection that a follower has to a server; felt where there were some, and others come in their place. */
  async #cut(): Promise<void> {
    const proxies = [...this.#proxies.values()];
    const before = proxies.map(({ felt, accepted }) => ({ felt, accepted }));
    this.#note("cut");
    for (const proxy of proxies) proxy.cut();
    const began = performance.now();
    const isFelt = () =>
      proxies.every((proxy, at) => proxy.felt > before[at]!.felt && proxy.accepted > before[at]!.accepted);
    while (!isFelt()) {
      const ended = this.#all.find(({ error }) => error !== undefined);
      check(ended === undefined, `${ended?.transferId} ended after a cut with: ${ended?.error}`);
      check(performance.now() - began < FELT_MS, `a cut of all connections was not felt within ${FELT_MS} ms`);
      // There were none at that moment.
      for (const [at, proxy] of proxies.entries()) if (proxy.felt === before[at]!.felt) proxy.cut();
      await sleep(50);
    }
    this.#cuts++;
  }

  /** Has a follower lose its position; felt where it says so, and mirrors. */
  async #lose(at: number): Promise<void> {
    const losses = LOSSES[this.#feed.source]!;
    const loss = losses[at % losses.length]!;
    const one = this.#any();
    await one.until(() => one.status === "live", "was not live", FELT_MS);
    const before = this.#all.map(({ lost, mirrored }) => ({ lost, mirrored }));
    const [source] = this.#proxies.values();
    // What the store loses, it loses for whoever follows it.
    this.#steady?.lags.suspend();
    const isFelt = () => this.#all.some(({ lost }, i) => lost > before[i]!.lost);
    for (let tries = 0; !isFelt() && tries < 5; tries++) {
      this.#note(`${loss.name}, ${one.transferId}`);
      await loss.lose({ place: this.#source, transferId: one.transferId, cut: () => source!.cut() });
      const began = performance.now();
      while (!isFelt() && performance.now() - began < FELT_MS / 5) await sleep(20);
    }
    check(isFelt(), `${loss.name}: no follower has told that its changes were lost`);
    for (const [i, follower] of this.#all.entries()) {
      if (follower.lost === before[i]!.lost) continue;
      const { mirrored } = before[i]!;
      await follower.until(() => follower.mirrored > mirrored, `did not mirror after "${loss.name}"`, FELT_MS);
    }
    this.#lost.push(loss.name);
    if (!this.#steady) return;
    await this.#steady.until(() => this.#steady!.status === "live", "was not live", FELT_MS);
    await sleep(SETTLED_MS);
    this.#steady.lags.begin();
  }

  /** Waits until every target is equal to the source; resolves with the time that took, in ms. */
  async #untilEqual(): Promise<number> {
    const began = performance.now();
    for (const { target } of this.#all) {
      for (;;) {
        const difference = await this.#differenceOf(target);
        if (difference.equal) break;
        const broken = this.#all.find(({ error }) => error !== undefined);
        check(broken === undefined, `a follower ended with: ${broken?.error}`);
        const states = this.#all.map(({ transferId, status }) => `${transferId} is ${status}`).join(", ");
        check(performance.now() - began < REST_MS, `${target} did not become equal: ${difference.text}; ${states}`);
        await sleep(300);
      }
    }
    return performance.now() - began;
  }

  /** Missing, extra and different records at rest. */
  async #atRest(): Promise<string> {
    const texts: string[] = [];
    for (const { target } of this.#all) {
      const { equal, text } = await this.#differenceOf(target);
      check(equal, `${target} did not stay equal: ${text}`);
      texts.push(text);
    }
    return [...new Set(texts)].join(", ");
  }

  async #differenceOf(place: string): Promise<{ readonly equal: boolean; readonly text: string }> {
    const compared = (async () => {
      await using manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
      const connection = await manager.establish(this.#source, place);
      return await connection.verify({}, { maxDifferences: 2 });
    })();
    const { equal, missing, extra, different, differences } = await unlessLate(
      compared,
      VERIFY_MS,
      () => new Error(`a comparison took more than ${VERIFY_MS} ms`),
    );
    const counts = `${missing}/${extra}/${different}`;
    return { equal, text: equal ? counts : `${counts} missing/extra/different: ${JSON.stringify(differences)}` };
  }

  /** What a thousand changes of one record cost, at the follower that wrote most. */
  async #writesOfOne(workload: Workload): Promise<number> {
    for (const follower of this.#all) follower.countFrom = workload.changes;
    const last = (await workload.changeOne(OF_ONE)) + OF_ONE - 1;
    for (const follower of this.#all) {
      await follower.until(() => follower.written.has(last), "did not write the last state of one record");
    }
    const writes = Math.max(...this.#all.map((follower) => follower.writes));
    check(writes < MOST_WRITES, `${OF_ONE} changes of one record cost ${writes} writes`);
    return writes;
  }

  /** Nothing changes: how long it takes until the position is saved anew, and where the store's own position moves on, moves. */
  async #idleSave(): Promise<number> {
    const before = this.#all.map(({ checkpoint }) => checkpoint);
    const began = performance.now();
    if (this.#feed.source === "postgresql") {
      const client = new Client({ connectionString: partsOf(this.#source).server });
      await client.connect();
      await client.query("SELECT pg_logical_emit_message(false, 'proof', 'others work on')");
      await client.end();
    }
    const hasMoved = (follower: Follower, at: number) => {
      const { updatedAt, position } = follower.checkpoint;
      const mustMove = this.#feed.source === "postgresql";
      return updatedAt !== before[at]!.updatedAt && (!mustMove || position !== before[at]!.position);
    };
    for (const [at, follower] of this.#all.entries()) {
      await follower.until(() => hasMoved(follower, at), "did not save its position while nothing changed", IDLE_MS);
    }
    return performance.now() - began;
  }

  #lag(): { readonly median: number | undefined; readonly most: number | undefined } {
    const measured = this.#steady ? [this.#steady] : this.#followers;
    const lags = measured.flatMap(({ lags: { values } }) => values);
    check(lags.length > 0, "nothing was written while lag was measured");
    const [median, most] = [quantile(lags, 0.5), quantile(lags, 0.99)];
    if (this.#terms.strict) {
      check(median! < MEDIAN_LAG_MS && most! < MOST_LAG_MS, `the lag is ${median} ms, ${most} ms for 99 of 100`);
    }
    return { median, most };
  }

  /** Growth of the undisturbed follower from the second quarter of its time to the last. */
  #memory(): string {
    const samples = this.#steady?.memory ?? [];
    if (this.#terms.seconds < TELLS_OF_MEMORY || samples.length < 8) return "not measured";
    const mean = (from: number, to: number, of: "heap" | "rss") => {
      const part = samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to));
      return part.reduce((sum, sample) => sum + sample[of], 0) / part.length / 2 ** 20;
    };
    const grown = mean(0.75, 1, "heap") - mean(0.25, 0.5, "heap");
    check(grown < FLAT_MB, `the heap of an undisturbed follower grew by ${grown.toFixed(1)} MB`);
    return `heap ${mean(0.75, 1, "heap").toFixed(0)} MB (${grown < 0 ? "" : "+"}${grown.toFixed(1)}), rss ${mean(0.75, 1, "rss").toFixed(0)} MB`;
  }

  async dispose(): Promise<void> {
    for (const cleanup of this.#cleanups) await cleanup();
    await Promise.all(this.#all.map((follower) => follower.dispose()));
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()));
  }
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const rest = [...items];
  return items.map(() => rest.splice(Math.floor(random() * rest.length), 1)[0]!);
}

/** Words with how often each came: `6 (4 live, 2 copying)`. */
function told(words: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return `${words.length} (${Array.from(counts, ([word, times]) => `${times} ${word}`).join(", ")})`;
}
