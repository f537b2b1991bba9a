import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { isP2PError, type TransferProgress } from "../../src/index.ts";
import { PartedStore } from "../support/parted-store.ts";
import { managed, NO_LETTERS } from "../support/scripted-starter.ts";
import { records, refused, ScriptedStore, type WriteCall, withFailures } from "../support/scripted-store.ts";
import { CheckpointLog, ending, expectNoUnhandledRejections, LetterBox, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

const FOUR = { partitions: 4, batchSize: 5 } as const;

describe("a transfer in parts", () => {
  it("moves every record once and adds up one result", async () => {
    const source = new PartedStore(103);
    const target = new ScriptedStore();
    const result = await transfer(source, target, FOUR);
    expect(result).toMatchObject({ totalRecords: 103, successCount: 103, failureCount: 0, partitions: 4, bytes: 1030 });
    expect(result.notes).toBeUndefined();
    expect(target.ids).toEqual(source.ids);
    expect(target.sent.flat()).toHaveLength(103);
  });

  it("runs the parts side by side, within the writes that the target bears", async () => {
    const source = new PartedStore(100);
    const slow = (writeConcurrency: number) =>
      new ScriptedStore([], {
        capabilities: { writeConcurrency },
        write: async ({ apply }) => {
          await sleep(2);
          return apply();
        },
      });
    const wide = slow(64);
    await transfer(source, wide, { ...FOUR, concurrency: 2 });
    expect(wide.mostWritesUnderWay).toBe(8);
    const narrow = slow(3);
    await transfer(source, narrow, { ...FOUR, concurrency: 2 });
    expect(narrow.mostWritesUnderWay).toBe(3);
    const single = slow(1);
    await transfer(source, single, FOUR);
    expect(single.mostWritesUnderWay).toBe(1);
  });

  it("runs as one, and says so, where the source or the query cannot be parted", async () => {
    const plain = await transfer(new ScriptedStore(records(10)), new ScriptedStore(), FOUR);
    expect(plain).toMatchObject({ successCount: 10, partitions: 1 });
    expect(plain.notes).toEqual(["It ran as one part: this source cannot be parted"]);
    const source = new PartedStore(10);
    for (const query of [{ limit: 7 }, { offset: 3 }]) {
      const whole = await transfer(source, new ScriptedStore(), FOUR, { query });
      expect(whole).toMatchObject({ successCount: 7, partitions: 1 });
      expect(whole.notes?.[0]).toMatch(/a limit has one place/);
    }
    expect(source.plans).toBe(0);
  });

  it("tells one progress", async () => {
    const told: TransferProgress[] = [];
    await transfer(new PartedStore(60), new ScriptedStore(), {
      ...FOUR,
      transferId: "told",
      checkpoint: new CheckpointLog(),
      progressInterval: 0,
      onProgress: (progress) => told.push(progress),
    });
    expect(told.map(({ records }) => records)).toEqual(told.map(({ records }) => records).toSorted((a, b) => a - b));
    expect(told.at(-1)).toMatchObject({ transferId: "told", records: 60, total: 60, failures: 0 });
    expect(told.every(({ transferId }) => transferId === "told")).toBe(true);
  });

  it("has one budget of failures and one box of dead letters", async () => {
    const target = new ScriptedStore([], {
      write: (call) => withFailures(call, ({ at }) => ((at as number) % 10 === 0 ? refused() : undefined)),
    });
    const box = new LetterBox();
    const borne = await transfer(new PartedStore(100), target, { ...FOUR, maxFailures: 10, deadLetters: box });
    expect(borne).toMatchObject({ successCount: 90, failureCount: 10 });
    expect(box.letters.map(({ id }) => id).sort()).toHaveLength(10);
    expect(new Set(box.letters.map(({ transferId }) => transferId))).toEqual(new Set([borne.transferId]));
    expect([box.opened, box.closed]).toEqual([1, 1]);
    // Each part has but two or three of them.
    const error = await ending(transfer(new PartedStore(100), target, { ...FOUR, maxFailures: 6 }));
    expect(error.code).toBe("TOO_MANY_FAILURES");
    expect(error.result.failureCount).toBeGreaterThan(6);
    expect(error.result.failureCount).toBeLessThan(11);
  });

  it("ends as a whole when one part fails, and goes on with the same plan", async () => {
    const source = new PartedStore(100);
    const store = new CheckpointLog();
    let broken = true;
    const target = new ScriptedStore([], {
      write: (call) => {
        if (broken && call.records.some(({ at }) => at === 90)) throw refused("TARGET_NOT_WRITABLE");
        return call.apply();
      },
    });
    const options = { ...FOUR, concurrency: 1, transferId: "whole", checkpoint: store } as const;
    const error = await ending(transfer(source, target, options));
    expect(error.code).toBe("TARGET_NOT_WRITABLE");
    expect(error.result.checkpoint).toMatchObject({ transferId: "whole", status: "running" });
    expect(error.result.checkpoint.parts).toHaveLength(4);
    broken = false;
    // Even when other parts are asked for: a plan is kept.
    const done = await transfer(source, target, { ...options, partitions: 2, resume: true });
    expect(done).toMatchObject({ successCount: 100, partitions: 4 });
    expect(done.resumed?.successCount).toBe(error.result.successCount);
    expect(source.plans).toBe(1);
    expect(target.ids).toEqual(source.ids);
    expect(target.sent.flat().length).toBeLessThanOrEqual(100 + 5);
    const again = await transfer(source, target, { ...options, resume: true });
    expect(again).toMatchObject({ successCount: 100, partitions: 4 });
    expect(await store.load("whole.part-1")).toBeUndefined();
  });

  it("is resumed as it began: whole", async () => {
    const source = new PartedStore(40);
    const store = new CheckpointLog();
    const target = new ScriptedStore([], {
      write: ({ number, apply }) => {
        if (number === 3) throw refused("TARGET_NOT_WRITABLE");
        return apply();
      },
    });
    const options = { batchSize: 5, transferId: "one", checkpoint: store } as const;
    await ending(transfer(source, target, options));
    const done = await transfer(source, target, { ...options, partitions: 4, resume: true });
    expect(done.successCount).toBe(40);
    expect(done.partitions).toBeUndefined();
    expect(source.plans).toBe(0);
  });

  it("starts anew without resume, whatever the earlier parts had done", async () => {
    const source = new PartedStore(100);
    const store = new CheckpointLog();
    const stop = new AbortController();
    const options = { ...FOUR, transferId: "anew", checkpoint: store } as const;
    const write = ({ number, apply }: WriteCall) => {
      if (number > 6) stop.abort();
      return apply();
    };
    const target = new ScriptedStore([], { write });
    const error = await ending(transfer(source, target, { ...options, signal: stop.signal }));
    expect(error.code).toBe("ABORTED");
    expect(error.message).toBe('The transfer "anew" was cancelled');
    const fresh = new ScriptedStore();
    const result = await transfer(source, fresh, options);
    expect(result).toMatchObject({ successCount: 100 });
    expect(result.resumed).toBeUndefined();
    expect(fresh.ids).toEqual(source.ids);
  });

  it("has every failed record once among the dead letters, wherever it is killed", async () => {
    for (let kill = 1; kill < 40; kill += 3) {
      const source = new PartedStore(60);
      const box = new LetterBox();
      let saves = 0;
      // From one moment on nothing is saved any more, as if the process had gone.
      const store = new CheckpointLog(() => {
        if (++saves > kill) throw new Error("gone");
      });
      const target = new ScriptedStore([], {
        write: (call) => withFailures(call, ({ at }) => ((at as number) % 3 === 0 ? refused() : undefined)),
      });
      const options = { ...FOUR, transferId: "k", checkpoint: store, deadLetters: box } as const;
      await transfer(source, target, options).catch(() => {});
      saves = Number.NEGATIVE_INFINITY;
      const done = await transfer(source, target, { ...options, resume: true });
      expect(done).toMatchObject({ totalRecords: 60, successCount: 40, failureCount: 20 });
      expect(box.letters.map(({ id }) => id).sort()).toEqual(source.ids.filter((_, at) => at % 3 === 0));
    }
  });

  it("stops at its timeout", async () => {
    const target = new ScriptedStore([], { write: ({ apply }) => sleep(20).then(() => apply()) });
    const error = await ending(transfer(new PartedStore(200), target, { ...FOUR, transferTimeout: 30 }));
    expect(error.code).toBe("TIMEOUT");
    expect(error.message).toContain("transfer_timeout of 30 ms");
  });
});

describe("parts through a manager", () => {
  const alone = { capabilities: { shareable: false } } as const;

  it("open a store that cannot be shared once for each part, within the pool's limit", async () => {
    for (const [maxConnections, opened] of [
      [undefined, 4],
      [3, 3],
      [1, 1],
    ] as const) {
      const { manager, to, connect } = managed({
        from: () => new PartedStore(100),
        to: () => new ScriptedStore([], alone),
        ...(maxConnections && { pool: { maxConnections } }),
      });
      const { connectionId } = await connect();
      const result = await manager.transferThroughConnection(connectionId, {}, { ...FOUR, ...NO_LETTERS });
      expect(result).toMatchObject({ successCount: 100, partitions: 4 });
      expect(to.opened).toHaveLength(opened);
      expect(to.opened.flatMap(({ ids }) => ids)).toHaveLength(100);
      expect(to.stillOpen).toBe(1);
      expect(manager.getConnectionStatistics(connectionId).success_count).toBe(100);
    }
  });

  it("can be asked for, to be transferred one by one", async () => {
    const { manager, connect } = managed({ from: () => new PartedStore(100) });
    const { connectionId } = await connect({ partitions: 4 });
    const { queries, note } = await manager.partitions(connectionId, {}, 3);
    expect(queries).toHaveLength(3);
    expect(note).toBeUndefined();
    for (const query of queries) {
      const result = await manager.transferThroughConnection(connectionId, query, NO_LETTERS);
      // A part is not parted again.
      expect(result).toMatchObject({ partitions: 1 });
    }
    const thrown = await manager.partitions(connectionId, {}, 0).catch((error: unknown) => error);
    expect(isP2PError(thrown, "INVALID_CONFIG")).toBe(true);
  });
});
