/**
 * Random histories of a follow by a simulated clock: the source changes while it is copied, look-ups see a change later than the feed,
 * answers of writes are lost and the writes land late, and the process is killed at any moment. In others an end is away for a while, the source is
 * replaced by another store of its name, the host sleeps, and another host follows by the same id. The scheduler and the term of the
 * lease are the very code of a follow; the stores, the copy, the mirror and the clock are the model's. Each rule switched off must make some histories end wrong.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { FOLLOW_RULES, type FollowRule, FollowScheduler } from "../../src/live/follow-scheduler.ts";
import { LeaseTerm } from "../../src/live/lease-term.ts";
import type { IdRef } from "../../src/starter.ts";

/** The longest time in which a write without an answer may still land. */
const LANDS_WITHIN = 8;
const KEYS = 8;
/** Nothing changes after this, and the feed is read for so long. */
const CHANGES_UNTIL = 20;
const READ_UNTIL = 90;

/** A source whose changes look-ups see a little after the feed, and a target that may lose its answers. */
class World {
  now = 0;
  readonly source = new Map<number, number>();
  readonly visible = new Map<number, number>();
  readonly target = new Map<number, number>();
  readonly feed: number[] = [];
  readonly visibleAt: number[] = [];
  readonly #random: () => number;
  #steps: { readonly at: number; readonly order: number; readonly step: () => void }[] = [];
  #order = 0;
  #version = 0;
  /** Grows when the source is replaced: what is told of the one before is of no use. */
  generation = 0;
  lease: { readonly run: number; readonly host: number; readonly until: number } | undefined;

  constructor(seed: number) {
    let state = seed >>> 0;
    // Mulberry32: small, and the same everywhere.
    this.#random = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    for (let key = this.whole(2, 6); key-- > 0; ) {
      this.source.set(key, 0);
      this.visible.set(key, 0);
    }
  }

  within(least: number, most: number): number {
    return least + this.#random() * (most - least);
  }

  whole(least: number, most: number): number {
    return Math.floor(this.within(least, most + 1));
  }

  later(delay: number, step: () => void): void {
    this.#steps.push({ at: this.now + delay, order: this.#order++, step });
  }

  change(): void {
    const key = this.whole(0, KEYS - 1);
    const value = this.#random() < 0.25 ? undefined : ++this.#version;
    put(this.source, key, value);
    this.feed.push(key);
    const at = Math.max(this.now + this.within(0, 3), this.visibleAt.at(-1) ?? 0);
    this.visibleAt.push(at);
    const { generation } = this;
    this.later(at - this.now, () => generation === this.generation && put(this.visible, key, value));
  }

  /** Another store has the source's name from now on. */
  replace(): void {
    this.generation++;
    for (const store of [this.source, this.visible]) store.clear();
    for (let key = 0; key < KEYS; key++) {
      if (this.#random() < 0.4) continue;
      for (const store of [this.source, this.visible]) store.set(key, this.#version + 1);
      this.#version++;
    }
    this.feed.length = 0;
    this.visibleAt.length = 0;
  }

  /** As a target answers who wants its lease. */
  take(run: number, host: number, ttl: number, renew: boolean): boolean {
    const held = this.lease;
    if (held && held.until > this.now && held.run !== run && (renew || held.host !== host)) return false;
    this.lease = { run, host, until: this.now + ttl };
    return true;
  }

  write(
    pairs: readonly (readonly [number, number | undefined])[],
    acknowledged: () => void,
    unclear: () => void,
  ): void {
    const lands = () => {
      for (const [key, value] of pairs) put(this.target, key, value);
    };
    if (this.#random() < 0.25) {
      this.later(this.within(0, LANDS_WITHIN), lands);
      this.later(this.within(1, 3), unclear);
      return;
    }
    const delay = this.within(0, 3);
    this.later(delay, lands);
    this.later(delay + 0.001, acknowledged);
  }

  run(): void {
    while (this.#steps.length > 0) {
      let first = 0;
      for (let at = 1; at < this.#steps.length; at++) {
        const [a, b] = [this.#steps[at]!, this.#steps[first]!];
        if (a.at < b.at || (a.at === b.at && a.order < b.order)) first = at;
      }
      const { at, step } = this.#steps.splice(first, 1)[0]!;
      this.now = at;
      step();
    }
  }
}

function put(store: Map<number, number>, key: number, value: number | undefined): void {
  if (value === undefined) store.delete(key);
  else store.set(key, value);
}

/** What survives a kill. */
interface Kept {
  copied: number | "done";
  position: number;
  used: boolean;
  /** The run before ended when every write had been answered. */
  clean: boolean;
  /** What is copied onto a target that may hold something is mirrored: the others are taken out. */
  mirrors: boolean;
  /** Of the source that all this is about. */
  generation: number;
  /** Ids collected during the copy, beside the checkpoint. */
  collected: number[];
}

/** Of a model's time, in which a second has a thousand parts. */
const PARTS = 1000;

/** The runs of a follow on one host. */
interface Runner {
  readonly host: number;
  /** Whether the target's lease is taken, and asked before each write. */
  readonly leases: boolean;
  /** Whether a copy waits until it sees all before the position at which it begins. */
  readonly waits: boolean;
}

let runs = 0;

/** One process, from its checkpoint on. */
class Follower {
  alive = true;
  /** It sleeps until then, with all that it was about to do. */
  wakesAt = 0;
  readonly #runner: Runner;
  readonly #run = ++runs;
  readonly #term = new LeaseTerm((LANDS_WITHIN + 0.5) * PARTS);
  readonly #generation: number;
  #underWay = 0;
  readonly #world: World;
  readonly #kept: Kept;
  readonly #durable: boolean;
  readonly #scheduler: FollowScheduler;
  #copied: number | "done";
  #readTo: number;
  readonly #startsAt: number;
  #pages = 0;
  #readAll = false;

  /** @param durable what is collected is kept apart, or the position stays before it. */
  constructor(world: World, kept: Kept, rules: ReadonlySet<FollowRule>, durable: boolean, runner: Runner = ALONE) {
    this.#world = world;
    this.#runner = runner;
    if (kept.generation !== world.generation) {
      // A new position, and a mirror.
      Object.assign(kept, { generation: world.generation, position: 0, copied: -1, mirrors: true });
    }
    this.#generation = kept.generation;
    this.#kept = kept;
    this.#durable = durable;
    this.#copied = kept.copied;
    this.#readTo = kept.position;
    this.#startsAt = kept.position;
    const isFirst = !kept.used;
    kept.used = true;
    this.#scheduler = new FollowScheduler(
      {
        ...{ landsWithin: LANDS_WITHIN + 0.5, gather: 0, batchSize: 2, concurrency: 3, rules },
        ...{ position: kept.position, clean: isFirst || kept.clean, collecting: kept.copied !== "done" },
      },
      {
        later: (ms, step) => this.#later(ms, step),
        reconcile: (refs, visible, done) => {
          this.#later(world.within(0, 2), () => this.#lookUp(refs, visible as number | undefined, done));
        },
        keptSettled: () => {
          kept.collected = [];
        },
        moved: () => this.#save(),
      },
    );
    kept.clean = false;
    this.#scheduler.restore(kept.collected.map((id) => ({ id })));
    if (runner.leases) this.#keepLease();
    if (this.#copied !== "done") this.#beginCopy();
    this.#readFeed();
  }

  /** Whether a process may begin here: it has taken the lease. */
  static mayBegin(world: World, { host, leases }: Runner): boolean {
    if (!leases) return true;
    const { lease } = world;
    return lease === undefined || lease.until <= world.now || lease.host === host;
  }

  /** Ends it as one whose end was away for too long, and begins once more by what it has saved. */
  end(): void {
    this.#save();
    this.#kept.clean = this.#scheduler.isClean && this.#underWay === 0;
    this.alive = false;
  }

  #later(delay: number, step: () => void): void {
    const run = () => {
      if (!this.alive) return;
      const left = this.wakesAt - this.#world.now;
      if (left > 0) this.#world.later(left, run);
      else step();
    };
    this.#world.later(delay, run);
  }

  #keepLease(): void {
    if (!this.#renew(this.#world.lease?.run === this.#run)) return;
    // Later it is asked for before a write alone, or the model would never rest.
    if (this.#world.now < READ_UNTIL) this.#later(this.#term.renewEveryMs / PARTS, () => this.#keepLease());
  }

  #renew(renew: boolean): boolean {
    const world = this.#world;
    const askedAt = world.now * PARTS;
    if (world.take(this.#run, this.#runner.host, this.#term.ttlMs / PARTS, renew)) this.#term.granted(askedAt);
    else this.alive = false;
    return this.alive;
  }

  /** Sends a write, if it may. */
  #write(
    pairs: readonly (readonly [number, number | undefined])[],
    acknowledged: () => void,
    unclear: () => void,
  ): void {
    const mayWrite = () => this.#term.mayWrite(this.#world.now * PARTS);
    if (this.#runner.leases && !mayWrite() && !this.#renew(true)) return;
    this.#underWay++;
    const told = (step: () => void) => () => {
      this.#underWay--;
      this.#later(0, step);
    };
    this.#world.write(pairs, told(acknowledged), told(unclear));
  }

  /** A copy waits until nothing of the run before can land. */
  #beginCopy(): void {
    if (!this.alive) return;
    // A position may be ahead of what a copy sees: a change before it would be in neither.
    const sees = this.#startsAt === 0 || !this.#runner.waits ? 0 : (this.#world.visibleAt[this.#startsAt - 1] ?? 0);
    if (this.#scheduler.isFencing || sees > this.#world.now) this.#later(0.5, () => this.#beginCopy());
    else this.#askForPage(this.#copied as number);
  }

  #askForPage(after: number): void {
    const world = this.#world;
    this.#later(world.within(0, 3), () => {
      const rows = [...world.visible].filter(([key]) => key > after).sort(([a], [b]) => a - b);
      this.#later(world.within(0, 3), () => this.#pageArrives(rows.slice(0, world.whole(1, 3))));
    });
  }

  #pageArrives(rows: readonly [number, number][]): void {
    if (!this.alive) return;
    const last = rows.at(-1)?.[0];
    if (last === undefined) {
      this.#readAll = true;
      this.#copyMayBeDone();
      return;
    }
    this.#pages++;
    const acknowledged = () => {
      this.#pages--;
      if (!this.alive) return;
      this.#copied = last;
      this.#save();
      this.#copyMayBeDone();
    };
    const unclear = () => {
      if (!this.alive) return;
      this.#scheduler.unclear(rows.map(([id]) => ({ id })));
      this.#write(rows, acknowledged, unclear);
    };
    this.#write(rows, acknowledged, unclear);
    // The next page is asked for once this one is sent; they are acknowledged in order here.
    this.#later(0, () => this.#whenAcknowledged(() => this.#askForPage(last)));
  }

  /** A mirror takes out what the target alone has, each looked up right before. */
  #takeOut(): void {
    const world = this.#world;
    const extras = [...world.target.keys()].filter((key) => !world.visible.has(key));
    this.#later(world.within(0, 2), () => {
      const gone = extras.filter((key) => !world.visible.has(key)).map((key) => [key, undefined] as const);
      if (gone.length === 0) {
        this.#isDone();
        return;
      }
      const unclear = () => {
        this.#scheduler.unclear(gone.map(([id]) => ({ id })));
        this.#takeOut();
      };
      this.#write(gone, () => this.#isDone(), unclear);
    });
  }

  #whenAcknowledged(step: () => void): void {
    if (!this.alive) return;
    if (this.#pages === 0) step();
    else this.#later(0.5, () => this.#whenAcknowledged(step));
  }

  #copyMayBeDone(): void {
    if (!this.#readAll || this.#pages > 0 || this.#copied === "done") return;
    if (this.#kept.mirrors) this.#takeOut();
    else this.#isDone();
  }

  #isDone(): void {
    if (!this.alive) return;
    this.#copied = "done";
    this.#save();
    this.#scheduler.complete();
  }

  #readFeed(): void {
    if (!this.alive) return;
    const world = this.#world;
    if (this.#generation !== world.generation) {
      this.onReplaced();
      return;
    }
    const ids = world.feed.slice(this.#readTo);
    this.#readTo = world.feed.length;
    const isKept = this.#durable && this.#copied !== "done";
    if (isKept) this.#kept.collected.push(...ids);
    this.#scheduler.told(
      ids.map((id) => ({ id })),
      this.#readTo,
      isKept,
    );
    this.#save();
    if (world.now < READ_UNTIL) this.#later(world.within(0.2, 2), () => this.#readFeed());
  }

  /** The feed tells that the source is another one. */
  onReplaced: () => void = () => {};

  #lookUp(refs: readonly IdRef[], visible: number | undefined, done: () => void): void {
    const world = this.#world;
    if (!this.alive) return;
    const sees = visible === undefined || visible === 0 ? 0 : world.visibleAt[visible - 1]!;
    if (sees > world.now) {
      this.#later(sees - world.now + 0.001, () => this.#lookUp(refs, visible, done));
      return;
    }
    const pairs = refs.map(({ id }) => [id as number, world.visible.get(id as number)] as const);
    const acknowledged = () => {
      if (this.alive) done();
    };
    const unclear = () => {
      if (!this.alive) return;
      this.#scheduler.unclear(refs);
      this.#later(0.1, () => this.#lookUp(refs, visible, done));
    };
    // A process may be put to sleep between the two.
    this.#later(world.within(0, 0.5), () => this.#write(pairs, acknowledged, unclear));
  }

  #save(): void {
    if (!this.alive) return;
    this.#kept.copied = this.#copied;
    this.#kept.position = this.#scheduler.position as number;
  }
}

/** Nobody else follows. */
const ALONE: Runner = { host: 1, leases: false, waits: true };

const FRESH = { copied: -1, position: 0, used: false, clean: false, mirrors: false, generation: 0 } as const;

/** Whether the target ends equal to the source. */
function endsWell(seed: number, rules: ReadonlySet<FollowRule>): boolean {
  const world = new World(seed);
  const kept: Kept = { ...FRESH, collected: [] };
  const durable = world.whole(0, 1) === 1;
  let follower = new Follower(world, kept, rules, durable);
  for (let changes = world.whole(1, 12); changes-- > 0; ) {
    world.later(world.within(0, CHANGES_UNTIL), () => world.change());
  }
  for (let kills = world.whole(0, 3); kills-- > 0; ) {
    world.later(world.within(0, 30), () => {
      follower.alive = false;
      world.later(world.within(0, 2), () => {
        follower.alive = false;
        follower = new Follower(world, kept, rules, durable);
      });
    });
  }
  world.run();
  return areEqual(world);
}

function areEqual({ source, target }: World): boolean {
  return target.size === source.size && [...source].every(([key, value]) => target.get(key) === value);
}

/** What goes wrong besides, and whether the rules for it hold. */
interface Troubles {
  /** Whether the lease is taken and asked. */
  readonly lease: boolean;
  /** Whether a copy or a mirror waits until it sees all before its position. */
  readonly start: boolean;
  /** Whether what ended a session without all writes answered is told to the next. */
  readonly clean: boolean;
  /** Whether a replaced source gets a new position and a mirror. */
  readonly replaced: boolean;
}

/** Two hosts with checkpoints of their own, a host that sleeps, an end that is away, and a source that is replaced. */
function endsWellInTroubles(seed: number, rules: Troubles): boolean {
  const world = new World(seed);
  const durable = world.whole(0, 1) === 1;
  /** Those of each host that run: those that sleep may outlive the one after them. */
  const running: Follower[] = [];
  /** Hosts that are no more: nobody makes good what they have done last. */
  const gone = new Set<number>();
  const supervise = (host: number, kept: Kept): void => {
    const runner = { host, leases: rules.lease, waits: rules.start };
    const begin = (): void => {
      if (world.now > READ_UNTIL || gone.has(host)) return;
      const there = running[host];
      if (there?.alive === true) {
        world.later(1, begin);
        return;
      }
      if (!Follower.mayBegin(world, runner)) {
        world.later(1, begin);
        return;
      }
      if (!kept.used) {
        // A first run takes its position, and mirrors where the target holds something.
        Object.assign(kept, {
          position: world.feed.length,
          generation: world.generation,
          mirrors: world.target.size > 0,
        });
      }
      if (!rules.replaced) kept.generation = world.generation;
      const follower = new Follower(world, kept, new Set(FOLLOW_RULES), durable, runner);
      running[host] = follower;
      follower.onReplaced = () => follower.end();
      world.later(1, begin);
    };
    begin();
  };
  const first: Kept = { ...FRESH, collected: [] };
  supervise(1, first);
  const second: Kept = { ...FRESH, collected: [] };
  if (world.whole(0, 1) === 1) {
    world.later(world.within(0, 30), () => supervise(2, second));
    world.later(world.within(5, 40), () => {
      gone.add(1);
      const last = running[1];
      // One that sleeps may wake once more, and is gone then.
      world.later(last && last.wakesAt > world.now ? last.wakesAt - world.now + world.within(0, 3) : 0, () => {
        if (running[1]) running[1].alive = false;
      });
    });
  }
  for (let changes = world.whole(1, 12); changes-- > 0; ) {
    world.later(world.within(0, CHANGES_UNTIL), () => world.change());
  }
  if (world.whole(0, 2) === 0) world.later(world.within(0, 25), () => world.replace());
  const someone = () => running[world.whole(1, 2)];
  for (let sleeps = world.whole(0, 2); sleeps-- > 0; ) {
    world.later(world.within(0, 25), () => {
      const follower = someone();
      if (follower) follower.wakesAt = world.now + world.within(5, 30);
    });
  }
  for (let outages = world.whole(0, 2); outages-- > 0; ) {
    world.later(world.within(0, 30), () => {
      const follower = someone();
      if (follower?.alive !== true || follower.wakesAt > world.now) return;
      follower.end();
      const kept = follower === running[1] ? first : second;
      if (!rules.clean) kept.clean = true;
    });
  }
  for (let kills = world.whole(0, 1); kills-- > 0; ) {
    world.later(world.within(0, 30), () => {
      const follower = someone();
      if (follower) follower.alive = false;
    });
  }
  world.run();
  return areEqual(world);
}

it("ends with the target equal to the source in every history", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0 }), (seed) => endsWell(seed, new Set(FOLLOW_RULES))),
    { numRuns: 3000 },
  );
}, 60_000);

it.each(FOLLOW_RULES)("ends otherwise in some histories without the rule: %s", (rule) => {
  const rules = new Set(FOLLOW_RULES.filter((one) => one !== rule));
  let wrong = 0;
  for (let seed = 0; seed < 20_000 && wrong === 0; seed++) if (!endsWell(seed, rules)) wrong++;
  expect(wrong).toBeGreaterThan(0);
});

const ALL: Troubles = { lease: true, start: true, clean: true, replaced: true };

it("ends with the target equal to the source in every history of two hosts, outages and replaced sources", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0 }), (seed) => endsWellInTroubles(seed, ALL)),
    { numRuns: 3000 },
  );
}, 60_000);

it.each(Object.keys(ALL))(
  "ends otherwise in some histories of two hosts, outages and replaced sources without the rule: %s",
  (rule) => {
    let wrong = 0;
    for (let seed = 0; seed < 20_000 && wrong === 0; seed++) {
      if (!endsWellInTroubles(seed, { ...ALL, [rule]: false })) wrong++;
    }
    expect(wrong).toBeGreaterThan(0);
  },
);
