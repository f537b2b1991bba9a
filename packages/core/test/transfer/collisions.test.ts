import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { P2PId, P2PRecord } from "../../src/index.ts";
import type { P2PDataTransferService } from "../../src/starter.ts";
import { CollisionFinder } from "../../src/transfer/collisions.ts";
import { busy, records, refused, ScriptedStore, withFailures } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

describe("ids that collide in the target", () => {
  const three: P2PRecord[] = [
    { id: 1, of: "number" },
    { id: "1", of: "text" },
    { id: 1n, of: "bigint" },
  ];

  it("are told: the records took each other's place", async () => {
    const result = await transfer(new ScriptedStore(three), new ScriptedStore());
    expect(result).toMatchObject({ successCount: 3, collisions: { count: 2, ids: ["1", "1"], share: 1 } });
    expect(result.notes).toEqual([expect.stringMatching(/^2 records have the id of another one before.*"1", "1"/)]);
  });

  it("are found across batches, and of what a transform makes", async () => {
    const list = [...records(100), { id: "r00007", at: "again" }];
    expect((await transfer(new ScriptedStore(list), new ScriptedStore(), { batchSize: 9 })).collisions).toEqual({
      count: 1,
      ids: ["r00007"],
      share: 1,
    });
    const transform = ({ at }: P2PRecord) => ({ id: (at as number) % 10 });
    const result = await transfer(new ScriptedStore(records(100)), new ScriptedStore(), { transform, batchSize: 7 });
    expect(result.collisions).toMatchObject({ count: 90 });
    expect(result.collisions!.ids).toHaveLength(20);
  });

  it("are no news where there are none, nor in a target that keeps them apart", async () => {
    const result = await transfer(new ScriptedStore(records(500)), new ScriptedStore());
    expect(result).not.toHaveProperty("collisions");
    expect(result).not.toHaveProperty("notes");
    const apart = Object.assign(new ScriptedStore(), { idForm: (id: P2PId) => `${typeof id}:${String(id)}` });
    expect(await transfer(new ScriptedStore(three), apart)).not.toHaveProperty("collisions");
  });

  it("are left to the target with the modes insert and skip", async () => {
    const inserted = await transfer(new ScriptedStore(three), new ScriptedStore(), {
      mode: "insert",
      deadLetters: false,
    });
    expect(inserted).toMatchObject({ successCount: 1, failureCount: 2 });
    expect(inserted).not.toHaveProperty("collisions");
    const skipped = await transfer(new ScriptedStore(three), new ScriptedStore(), { mode: "skip" });
    expect(skipped).toMatchObject({ successCount: 1, skippedCount: 2 });
    expect(skipped).not.toHaveProperty("collisions");
  });

  it("do not count what the target refused, nor what was sent again", async () => {
    const target = new ScriptedStore([], {
      write: (call) => {
        if (call.number === 0) throw busy({ retryAfterMs: 1 });
        return withFailures(call, ({ of }) => (of === "text" ? refused() : undefined));
      },
    });
    const result = await transfer(new ScriptedStore(three), target, { deadLetters: false });
    expect(result).toMatchObject({ successCount: 2, failureCount: 1, retryCount: 3, collisions: { count: 1 } });
  });
});

describe("a source that vouches that its ids are distinct", () => {
  /** As if the first batches of these were vouched for: what is looked at shows in what is found. */
  function vouching(list: readonly P2PRecord[], batches = Number.POSITIVE_INFINITY) {
    const store = new ScriptedStore(list);
    const readFromSource: P2PDataTransferService["readFromSource"] = async function* (query, options) {
      let number = 0;
      for await (const batch of ScriptedStore.prototype.readFromSource.call(store, query, options)) {
        yield { ...batch, distinct: number++ < batches };
      }
    };
    return Object.assign(store, { readFromSource });
  }
  const twice: P2PRecord[] = [...records(10), ...records(10)];

  it("is believed, and its ids are not looked at", async () => {
    expect(await transfer(vouching(twice), new ScriptedStore())).not.toHaveProperty("collisions");
    expect(await transfer(new ScriptedStore(twice), new ScriptedStore())).toHaveProperty("collisions.count", 10);
  });

  it("is believed batch by batch", async () => {
    const list = [...records(10), { id: "x" }, { id: "x" }];
    const result = await transfer(vouching(list, 2), new ScriptedStore(), { batchSize: 5 });
    expect(result.collisions).toEqual({ count: 1, ids: ["x"], share: 1 });
  });

  it("is not asked for the ids that a transform makes, nor for those of a target with a form of its own", async () => {
    const transform = (record: P2PRecord) => ({ ...record, id: "one" });
    const made = await transfer(vouching(records(10)), new ScriptedStore(), { transform });
    expect(made.collisions).toMatchObject({ count: 9 });
    const folding = Object.assign(new ScriptedStore(), { idForm: (id: P2PId) => String(id).toLowerCase() });
    const folded = await transfer(vouching([{ id: "a" }, { id: "A" }]), folding);
    expect(folded.collisions).toMatchObject({ count: 1 });
  });
});

describe("CollisionFinder", () => {
  it("counts as a set does", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.nat(50).map(String))), (ids) => {
        const finder = new CollisionFinder();
        for (const id of ids) finder.add(id, id);
        expect(finder.found?.count ?? 0).toBe(ids.length - new Set(ids).size);
      }),
    );
  });

  it("takes no two ids for one, among many that are alike", () => {
    const finder = new CollisionFinder();
    for (let i = 0; i < 600_000; i++) finder.add(`doc-${i}`, "");
    expect(finder.found).toBeUndefined();
  });

  it("goes on with a share of the ids when its memory is full", () => {
    const finder = new CollisionFinder(1 << 10);
    for (let i = 0; i < 50_000; i++) finder.add(`${i}`, `${i}`);
    expect(finder.found).toBeUndefined();
    for (let i = 0; i < 50_000; i++) finder.add(`${i}`, `${i}`);
    const { count, share } = finder.found!;
    expect(share).toBeLessThanOrEqual(1 / 64);
    expect(count).toBeGreaterThan(100);
    expect(count / share).toBeGreaterThan(25_000);
    expect(count / share).toBeLessThan(100_000);
  });
});
