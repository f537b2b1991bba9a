/**
 * Random histories of a mirror: others change the source at any step, calls fail before or after they were done, deletes land late,
 * and the process is killed anywhere. What must hold is told by an oracle that knows what was in the source all the while.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { parseConfig } from "../../src/config.ts";
import { MemoryCheckpointStore, P2PError, type P2PRecord } from "../../src/index.ts";
import { mirrorWith } from "../../src/live/mirror.ts";
import type { DeleteRef, IdRef } from "../../src/starter.ts";
import { type LiveCall, LiveStore } from "../support/live-store.ts";

const IDS = ["a", "b", "c", "d", "e", "f", "g", "h"];

/** What happens before one call of a store, or right after it was done. */
type Happening =
  | { readonly kind: "none" | "lost before" | "lost after" | "kill before" | "kill after" | "unsure" }
  | { readonly kind: "put"; readonly id: string; readonly version: number }
  | { readonly kind: "remove"; readonly id: string };

/**
 * When a delete lands that was on the way when its sender was killed, or when it got no answer: when both sides have been read, or
 * when something was written or deleted after that; with `later` in the process after the next. One that finds no such moment in a run that comes to its end never lands:
 * nobody can make good what comes after it.
 */
type Moment = "compared" | "progress" | "later";

/**
 * What happens at a delete, when its last look-up is over: the record at a place comes back to the source, as the target has it (so
 * that its digest is the expected one) or otherwise; and the delete may be on the way for a while.
 */
interface AtDelete {
  readonly back: "no" | "as it is" | "changed";
  readonly place: number;
  readonly late: "no" | "killed" | "lost";
  readonly moment: Moment;
}

const atDelete: fc.Arbitrary<AtDelete> = fc.record({
  back: fc.constantFrom("no", "as it is", "as it is", "changed"),
  place: fc.integer({ min: 0, max: 2 }),
  late: fc.constantFrom("no", "no", "killed", "lost"),
  moment: fc.constantFrom("compared", "progress", "later"),
});

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Happening>({ kind: "none" }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      id: fc.constantFrom(...IDS),
      version: fc.integer({ min: 0, max: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("remove" as const), id: fc.constantFrom(...IDS) }) },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Happening>(
      { kind: "lost before" },
      { kind: "lost after" },
      { kind: "kill before" },
      { kind: "kill after" },
      { kind: "unsure" },
    ),
  },
);

const content = fc.uniqueArray(fc.record({ id: fc.constantFrom(...IDS), version: fc.integer({ min: 0, max: 3 }) }), {
  selector: ({ id }) => id,
});

const lost = () => new P2PError("CONNECTION_LOST", "the socket was cut", { retryable: true });
const killed = () => new P2PError("CLOSED", "the process was killed");

/** A delete that is on the way. */
interface LateDelete {
  readonly refs: readonly DeleteRef[];
  readonly moment: Moment;
  /** The process that sent it, by number. */
  readonly sentBy: number;
}

/** The two stores, what happens to them, and the oracle. */
class World {
  readonly source: LiveStore;
  readonly target: LiveStore;
  readonly #happenings: Happening[];
  readonly #atDeletes: AtDelete[];
  readonly checkpoint = new MemoryCheckpointStore();
  #late: LateDelete[] = [];
  #process = 0;
  /** Ids that were in the source from the first moment on. */
  readonly steady: Set<string>;
  readonly wrongful: string[] = [];
  dead = false;
  #resting = false;

  constructor(
    source: readonly P2PRecord[],
    target: readonly P2PRecord[],
    happenings: readonly Happening[],
    atDeletes: readonly AtDelete[],
  ) {
    const save = this.checkpoint.save.bind(this.checkpoint);
    this.checkpoint.save = async (checkpoint) => {
      if (this.dead) throw killed();
      if (!this.#hasSaved) this.#land("compared");
      this.#hasSaved = true;
      await save(checkpoint);
    };
    this.#atDeletes = [...atDeletes];
    this.source = new LiveStore(source);
    this.target = new LiveStore(target);
    this.#happenings = [...happenings];
    this.steady = new Set(this.source.content.keys());
    this.source.before = (call, refs) => this.#step(call, refs, this.source);
    this.target.before = (call, refs) => this.#step(call, refs, this.target);
    this.target.after = () => this.#after();
    for (const id of this.source.content.keys()) this.#since.set(id, 0);
    this.target.deleted = (id) => {
      const since = this.#since.get(id);
      if (since === undefined) return;
      this.#owed.add(id);
      // The look-up before the delete could see it there.
      const asked = this.#askedAt.get(id) ?? -1;
      if (this.steady.has(id) || (!this.#landsLate && since < asked)) this.wrongful.push(id);
    };
  }

  /** A new process. */
  begin(): void {
    this.dead = false;
    this.#then = undefined;
    this.#hasSaved = false;
    this.#process++;
  }

  /** It came to its end, one way or the other. */
  ended(): void {
    if (!this.dead) this.#late = [];
  }

  /** Something was written or deleted. */
  progress(): void {
    if (!this.dead) this.#land("progress");
  }

  #land(moment: Moment): void {
    const isDue = (late: LateDelete) =>
      late.moment === "later" ? moment === "compared" && this.#process > late.sentBy + 1 : late.moment === moment;
    const landing = this.#late.filter(isDue);
    this.#late = this.#late.filter((late) => !isDue(late));
    this.#landsLate = true;
    for (const { refs } of landing) this.landed += this.target.applyDelete(refs).deleted;
    this.#landsLate = false;
  }

  /** Nothing happens any more, but what is on the way. */
  rest(): void {
    this.#resting = true;
    for (const store of [this.source, this.target]) store.answer = (outcome) => outcome;
  }

  /** Ids that were in the source when they were deleted from the target, and have been ever since: a run that ends well owes them. */
  get owed(): string[] {
    return [...this.#owed].filter((id) => this.source.content.has(id) && !this.target.content.has(id));
  }

  /** Calls so far, and when each id last came into the source, and was looked up there. */
  #now = 0;
  readonly #since = new Map<string, number>();
  readonly #askedAt = new Map<string, number>();
  readonly #owed = new Set<string>();
  #landsLate = false;
  /** Both sides have been read by this process. */
  #hasSaved = false;
  /** Deletes that took effect long after they were sent. */
  landed = 0;
  /** Records that came back between the last look-up and the delete. */
  returned = 0;
  #then: "lost" | "kill" | undefined;

  #step(call: LiveCall, refs: readonly IdRef[], store: LiveStore): void {
    if (this.dead) throw killed();
    this.#now++;
    if (store === this.source && call === "lookUp") for (const { id } of refs) this.#askedAt.set(String(id), this.#now);
    if (this.#resting) return;
    if (call === "delete") this.#atDelete(refs as readonly DeleteRef[], this.#atDeletes.shift());
    const next = this.#happenings.shift() ?? { kind: "none" };
    switch (next.kind) {
      case "put":
        this.#put(next.id, next.version);
        return;
      case "remove":
        this.source.content.delete(next.id);
        this.steady.delete(next.id);
        this.#since.delete(next.id);
        this.#owed.delete(next.id);
        return;
      case "lost before":
        throw lost();
      case "lost after":
        this.#then = "lost";
        if (call !== "write" && call !== "delete") throw lost();
        return;
      case "kill after":
        this.#then = "kill";
        if (call !== "write" && call !== "delete") this.#kill();
        return;
      case "kill before":
        this.#kill();
        return;
      case "unsure":
        store.answer = () => {
          store.answer = (outcome) => outcome;
          return { state: "failed", error: new P2PError("READ_FAILED", "it cannot be told") };
        };
        return;
      default:
        return;
    }
  }

  #atDelete(refs: readonly DeleteRef[], happening: AtDelete | undefined): void {
    if (!happening) return;
    const { back, place, late, moment } = happening;
    const id = String(refs[place % refs.length]!.id);
    if (back !== "no") {
      const there = this.target.content.get(id) as { version?: number } | undefined;
      this.#put(id, back === "as it is" ? (there?.version ?? 0) : 9);
      this.returned++;
    }
    if (late === "no") return;
    this.#late.push({ refs, moment, sentBy: this.#process });
    if (late === "lost") throw lost();
    this.#kill();
  }

  #put(id: string, version: number): void {
    if (!this.source.content.has(id)) this.#since.set(id, this.#now);
    this.source.content.set(id, { id, version });
  }

  #kill(): never {
    this.dead = true;
    throw killed();
  }

  #after(): void {
    const then = this.#then;
    this.#then = undefined;
    if (then === "lost") throw lost();
    if (then === "kill") this.#kill();
  }
}

const config = parseConfig({ maxRetries: 2, retryDelay: 0, maxRetryDelay: 0, batchSize: 3 });
const end = (service: LiveStore, endpointId: string) => ({ service, endpoint: { endpointId, storageType: "live" } });

async function mirrorOf(world: World, resume: boolean) {
  const run = mirrorWith(
    end(world.source, "a"),
    end(world.target, "b"),
    {},
    {
      ...{ deletes: "remove", maxDeletes: "all", allowEmptySource: true, transferId: "m", resume },
      checkpoint: world.checkpoint,
      deadLetters: false,
      onProgress: ({ phase }) => phase !== "comparing" && world.progress(),
    },
    config,
  );
  return run.finally(() => world.ended());
}

it("law 9, convergence: never takes out what is in the source all the while, and ends equal once it rests", async () => {
  let deletes = 0;
  let kills = 0;
  let returned = 0;
  let landed = 0;
  await fc.assert(
    fc.asyncProperty(
      content,
      content,
      fc.array(happening, { maxLength: 60, minLength: 10 }),
      fc.array(atDelete, { maxLength: 4, minLength: 1 }),
      fc.array(fc.boolean(), { maxLength: 3, minLength: 3 }),
      async (source, target, happenings, atDeletes, resumes) => {
        const world = new World(source, target, happenings, atDeletes);
        for (const resume of resumes) {
          world.begin();
          const ended = await mirrorOf(world, resume).catch(() => undefined);
          if (ended?.failureCount === 0) expect(world.owed).toEqual([]);
          if (world.dead) kills++;
        }
        world.begin();
        world.rest();
        const last = await mirrorOf(world, resumes[0]!);
        deletes += world.target.deletes;
        returned += world.returned;
        landed += world.landed;
        expect(world.wrongful).toEqual([]);
        expect(last.failureCount).toBe(0);
        expect(world.target.records).toEqual(world.source.records);
        const { writes, deletes: before } = world.target;
        const again = await mirrorOf(world, false);
        expect([world.target.writes, world.target.deletes]).toEqual([writes, before]);
        expect(again).toMatchObject({ missing: 0, different: 0, extra: 0, successCount: 0, deletedCount: 0 });
      },
    ),
    { numRuns: 150 },
  );
  // Histories in which nothing happens would prove nothing.
  expect(deletes).toBeGreaterThan(50);
  expect(kills).toBeGreaterThan(30);
  expect(returned).toBeGreaterThan(10);
  expect(landed).toBeGreaterThan(10);
}, 120_000);
