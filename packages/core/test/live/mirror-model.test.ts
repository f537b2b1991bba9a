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
  | { readonly kind: "none" | "lost before" | "lost after" | "late delete" | "kill before" | "kill after" | "unsure" }
  | { readonly kind: "put"; readonly id: string; readonly version: number }
  | { readonly kind: "remove"; readonly id: string }
  /** Of the next delete, the record at this place comes back to the source when its last look-up is over. */
  | { readonly kind: "back"; readonly place: number; readonly version: number };

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
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("back" as const),
      place: fc.integer({ min: 0, max: 2 }),
      version: fc.integer({ min: 0, max: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Happening>(
      { kind: "lost before" },
      { kind: "lost after" },
      { kind: "late delete" },
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

/** The two stores, what happens to them, and the oracle. */
class World {
  readonly source: LiveStore;
  readonly target: LiveStore;
  readonly #happenings: Happening[];
  readonly #late: (readonly DeleteRef[])[] = [];
  /** Ids that were in the source from the first moment on. */
  readonly steady: Set<string>;
  readonly wrongful: string[] = [];
  dead = false;
  #resting = false;

  constructor(source: readonly P2PRecord[], target: readonly P2PRecord[], happenings: readonly Happening[]) {
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
  #back: Extract<Happening, { kind: "back" }> | undefined;
  /** Records that came back between the last look-up and the delete. */
  returned = 0;
  #then: "lost" | "kill" | undefined;

  #step(call: LiveCall, refs: readonly IdRef[], store: LiveStore): void {
    if (this.dead) throw killed();
    // A delete that was on the way when its sender was cut off lands at a step of its own choosing.
    if (this.#late.length > 0 && this.#happenings.length % 2 === 0) {
      this.#landsLate = true;
      this.target.applyDelete(this.#late.shift()!);
      this.#landsLate = false;
    }
    this.#now++;
    if (store === this.source && call === "lookUp") for (const { id } of refs) this.#askedAt.set(String(id), this.#now);
    if (this.#resting) return;
    if (call === "delete" && this.#back) {
      const { place, version } = this.#back;
      this.#back = undefined;
      this.#put(String(refs[place % refs.length]!.id), version);
      this.returned++;
    }
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
      case "back":
        this.#back = next;
        return;
      case "lost before":
        throw lost();
      case "lost after":
        this.#then = "lost";
        if (call !== "write" && call !== "delete") throw lost();
        return;
      case "late delete":
        if (call === "delete") this.#late.push(refs as readonly DeleteRef[]);
        throw lost();
      case "kill after":
        this.#then = "kill";
        if (call !== "write" && call !== "delete") this.#kill();
        return;
      case "kill before":
        // What was sent may still land.
        if (call === "delete") this.#late.push(refs as readonly DeleteRef[]);
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

function mirrorOf(world: World, checkpoint: MemoryCheckpointStore, resume: boolean) {
  return mirrorWith(
    end(world.source, "a"),
    end(world.target, "b"),
    {},
    {
      ...{ deletes: "remove", maxDeletes: "all", allowEmptySource: true, transferId: "m", resume, checkpoint },
      deadLetters: false,
    },
    config,
  );
}

it("law 9, convergence: never takes out what is in the source all the while, and ends equal once it rests", async () => {
  let deletes = 0;
  let kills = 0;
  let returned = 0;
  await fc.assert(
    fc.asyncProperty(
      content,
      content,
      fc.array(happening, { maxLength: 60, minLength: 10 }),
      async (source, target, happenings) => {
        const world = new World(source, target, happenings);
        const checkpoint = new MemoryCheckpointStore();
        for (let run = 0; run < 3; run++) {
          world.begin();
          const ended = await mirrorOf(world, checkpoint, run > 0).catch(() => undefined);
          if (ended?.failureCount === 0) expect(world.owed).toEqual([]);
          if (world.dead) kills++;
        }
        world.begin();
        world.rest();
        const last = await mirrorOf(world, checkpoint, true);
        deletes += world.target.deletes;
        returned += world.returned;
        expect(world.wrongful).toEqual([]);
        expect(last.failureCount).toBe(0);
        expect(world.target.records).toEqual(world.source.records);
        const { writes, deletes: before } = world.target;
        const again = await mirrorOf(world, checkpoint, false);
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
}, 120_000);
