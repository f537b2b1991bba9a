import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { Checkpoint } from "../../src/engine.ts";
import {
  type CheckpointStore,
  type DeadLetter,
  type DeadLetterSink,
  FileCheckpointStore,
  FileDeadLetterSink,
  MemoryCheckpointStore,
  type TransferOptions,
  type TransferResult,
  type Transform,
} from "../../src/index.ts";
import { idKey } from "../../src/starter.ts";
import { idsIn, runIn } from "../support/child-transfer.ts";
import { temporaryFolder } from "../support/folder.ts";
import { forever, records, refused, ScriptedStore, withFailures } from "../support/scripted-store.ts";
import { CheckpointLog, ending, expectNoUnhandledRejections, LetterBox, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

/** What outlives a process. */
class Disk {
  checkpoint: string | undefined;
  letters: DeadLetter[] = [];
  readonly target = new ScriptedStore();
  /** Records that reached the target, each time counted. */
  sent = 0;
}

/** A process that does things to the disk until it is killed at one of them, before or after it took effect. */
class Life {
  readonly died = Promise.withResolvers<"killed">();
  readonly #killAt: number;
  readonly #when: "before" | "after";
  #steps = 0;
  #dead = false;

  constructor(killAt: number, when: "before" | "after") {
    this.#killAt = killAt;
    this.#when = when;
  }

  async step<T>(turns: number, effect: () => T): Promise<T> {
    for (let turn = turns; turn > 0; turn--) await new Promise(setImmediate);
    if (this.#dead) return forever();
    if (this.#steps++ !== this.#killAt) return effect();
    this.#dead = true;
    if (this.#when === "after") effect();
    this.died.resolve("killed");
    return forever();
  }
}

const transform: Transform = (record) => {
  const at = record.at as number;
  if (at % 11 === 4) return null;
  if (at % 11 === 5) throw new Error("not this one");
  return at % 11 === 6 ? [record, { ...record, id: `${idKey(record.id)}b` }] : record;
};

/** Runs until the end or the kill. */
async function live(
  disk: Disk,
  life: Life,
  list: ReturnType<typeof records>,
  turns: () => number,
  options: TransferOptions,
): Promise<TransferResult | "killed"> {
  const checkpoint: CheckpointStore = {
    load: async () => (disk.checkpoint === undefined ? undefined : (JSON.parse(disk.checkpoint) as Checkpoint)),
    save: (saved) =>
      life.step(turns(), () => {
        disk.checkpoint = JSON.stringify(saved);
      }),
    remove: () =>
      life.step(0, () => {
        disk.checkpoint = undefined;
      }),
    lock: async () => async () => {},
  };
  const deadLetters: DeadLetterSink = {
    location: "disk",
    open: (position) =>
      life.step(0, () => {
        disk.letters = disk.letters.slice(0, Number(position ?? 0));
      }),
    write: (letters) => life.step(turns(), () => disk.letters.push(...letters)),
    close: async () => {},
  };
  const target = new ScriptedStore([], {
    write: (call) =>
      life.step(turns(), () => {
        disk.sent += call.records.length;
        return withFailures(
          {
            ...call,
            apply: (some) => {
              for (const record of some!) disk.target.content.set(idKey(record.id), record);
              return { written: some!.length, skipped: 0, failures: [] };
            },
          },
          ({ at }) => ((at as number) % 11 === 7 ? refused() : undefined),
        );
      }),
  });
  const run = transfer(new ScriptedStore(list), target, {
    ...options,
    transform,
    transferId: "law-4",
    checkpoint,
    deadLetters,
  });
  return Promise.race([run, life.died.promise]);
}

describe("law 4, resume", () => {
  it("killed at any points and resumed, the target, the letters and the counts are those of an undisturbed run", async () => {
    const cases = fc.record({
      count: fc.integer({ min: 0, max: 80 }),
      batchSize: fc.integer({ min: 1, max: 17 }),
      concurrency: fc.integer({ min: 1, max: 5 }),
      kills: fc.array(fc.tuple(fc.nat({ max: 40 }), fc.constantFrom("before" as const, "after" as const)), {
        minLength: 1,
        maxLength: 4,
      }),
      turns: fc.infiniteStream(fc.nat({ max: 4 })),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ count, batchSize, concurrency, kills, turns }) => {
        const list = records(count);
        const next = () => turns.next().value!;
        const undisturbed = new Disk();
        const expected = (await live(undisturbed, new Life(-1, "before"), list, next, {
          batchSize,
          concurrency,
        })) as TransferResult;
        const disk = new Disk();
        let killed = 0;
        for (const [life, [at, when]] of kills.entries()) {
          const options = { batchSize, concurrency, resume: life > 0 };
          if ((await live(disk, new Life(at, when), list, next, options)) !== "killed") break;
          killed++;
        }
        const result = (await live(disk, new Life(-1, "before"), list, next, {
          batchSize,
          concurrency,
          resume: true,
        })) as TransferResult;
        const { durationMs: _, bytes: __, errors: ___, checkpoint: last, resumed: ____, ...counts } = result;
        expect(counts).toEqual({
          transferId: "law-4",
          totalRecords: expected.totalRecords,
          successCount: expected.successCount,
          failureCount: expected.failureCount,
          skippedCount: expected.skippedCount,
          retryCount: 0,
          ...(expected.failureCount > 0 && { deadLetters: "disk" }),
        });
        expect(last).toMatchObject({ status: "completed", recordsRead: count });
        expect([...disk.target.content]).toHaveLength(undisturbed.target.content.size);
        expect(Object.fromEntries(disk.target.content)).toEqual(Object.fromEntries(undisturbed.target.content));
        const bare = (letters: readonly DeadLetter[]) => letters.map(({ at: _at, ...letter }) => letter);
        expect(bare(disk.letters)).toEqual(bare(undisturbed.letters));
        // A batch may hold half again as much as was read, since the transform makes two of some.
        const perBatch = Math.ceil(batchSize * 1.5);
        expect(disk.sent).toBeLessThanOrEqual(undisturbed.sent + killed * concurrency * perBatch);
      }),
      { numRuns: 200 },
    );
  });

  it("never writes more than the batches that were in flight again", async () => {
    const [batchSize, concurrency] = [3, 4];
    for (const killAt of [0, 1, 5, 9, 14]) {
      const target = new ScriptedStore();
      const checkpoint = new MemoryCheckpointStore();
      target.script = {
        write: async (call) => {
          await sleep(1 + ((call.number * 7) % 5));
          const result = call.apply();
          if (call.number === killAt) throw new Error("killed");
          return result;
        },
      };
      const options = { batchSize, concurrency, transferId: "few", checkpoint };
      await ending(transfer(new ScriptedStore(records(60)), target, options));
      const before = target.sent.length;
      target.script = {};
      await transfer(new ScriptedStore(records(60)), target, { ...options, resume: true });
      const again = target.sent
        .slice(before)
        .flat()
        .filter(({ id }) =>
          target.sent
            .slice(0, before)
            .flat()
            .some((first) => first.id === id),
        );
      expect(again.length).toBeLessThanOrEqual(batchSize * concurrency);
      expect(target.content.size).toBe(60);
    }
  });
});

describe("a process that is killed", () => {
  const folder = temporaryFolder();
  const script = fileURLToPath(new URL("../support/child-transfer.ts", import.meta.url));
  const start = (at: string, count: number): ChildProcess =>
    spawn(process.execPath, [script, at, String(count), "4"], { stdio: ["ignore", "ignore", "inherit"] });
  const reached = async (at: string, least: number) => {
    for (;;) {
      const read = await new FileCheckpointStore(at).load("child").catch(() => undefined);
      if (read && read.recordsRead >= least) return;
      await sleep(2);
    }
  };

  it("holds its transfer while it lives, and another one takes over and completes it when it is dead", async () => {
    const count = 2000;
    const at = await mkdtemp(join(folder, "killed-"));
    const child = start(at, count);
    try {
      await reached(at, 40);
      await expect(runIn(at, count, 0, true)).rejects.toMatchObject({
        code: "CHECKPOINT_LOCKED",
        message: expect.stringContaining(`by process ${child.pid} on `),
      });
      await reached(at, 80);
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    const before = idsIn(join(at, "target"));
    const result = await runIn(at, count, 0, true);
    const failing = records(count).filter((record) => (record.at as number) % 7 === 3);
    expect(result).toMatchObject({
      totalRecords: count,
      successCount: count - failing.length,
      failureCount: failing.length,
    });
    const ids = idsIn(join(at, "target"));
    expect(new Set(ids).size).toBe(count - failing.length);
    expect(ids.length - new Set(ids).size, "written twice").toBeLessThanOrEqual(5 * 3);
    expect(before.length).toBeLessThan(count - failing.length);
    const letters = readFileSync(join(at, "letters.ndjson"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as DeadLetter);
    expect(letters.map(({ id }) => id)).toEqual(failing.map(({ id }) => id));
    expect((await readdir(at)).filter((name) => name.includes("lock"))).toEqual([]);
  });
});

describe("a transfer that is resumed", () => {
  const half = async (options: TransferOptions = {}, setting = {}) => {
    const checkpoint = new CheckpointLog();
    const target = new ScriptedStore();
    target.script = {
      write: (call) => {
        if (call.number === 2) throw new Error("killed");
        return call.apply();
      },
    };
    const all = { batchSize: 5, concurrency: 1, transferId: "half", checkpoint, ...options };
    await ending(transfer(new ScriptedStore(records(20)), target, all, setting));
    target.script = {};
    return { target, checkpoint, all, resume: { ...all, resume: true } };
  };

  it("goes on after the last batch that was acknowledged", async () => {
    const { target, resume } = await half();
    const source = new ScriptedStore(records(20));
    const result = await transfer(source, target, resume);
    expect(source.readOptions[0]!.after).toBe(10);
    expect(result).toMatchObject({
      totalRecords: 20,
      successCount: 20,
      resumed: { totalRecords: 10, successCount: 10 },
    });
    expect(target.ids).toHaveLength(20);
  });

  it("keeps to the query's limit over all its runs", async () => {
    const setting = { query: { offset: 2, limit: 13 } };
    const { target, resume } = await half({}, setting);
    const result = await transfer(new ScriptedStore(records(20)), target, resume, setting);
    expect(result.totalRecords).toBe(13);
    expect(target.ids).toEqual(
      records(15)
        .slice(2)
        .map(({ id }) => id),
    );
  });

  it("may use other batches, writers and credentials than before", async () => {
    const endpoint = {
      endpointId: "a",
      storageType: "redis",
      host: "h",
      metadata: { username: "one", password: "first", prefix: "p:" },
    };
    const { target, resume } = await half({}, { targetEndpoint: endpoint });
    const result = await transfer(
      new ScriptedStore(records(20)),
      target,
      { ...resume, batchSize: 3, concurrency: 4 },
      {
        targetEndpoint: { ...endpoint, endpointId: "b", metadata: { ...endpoint.metadata, password: "second" } },
      },
    );
    expect(result.successCount).toBe(20);
  });

  it("does nothing when it had been completed, and tells what was done", async () => {
    const checkpoint = new MemoryCheckpointStore();
    const list = records(10);
    list[3] = { title: "no id" } as never;
    const options = { batchSize: 4, transferId: "done", checkpoint };
    const first = await transfer(new ScriptedStore(list), new ScriptedStore(), options);
    const [source, target, box] = [new ScriptedStore(list), new ScriptedStore(), new LetterBox()];
    const again = await transfer(source, target, { ...options, resume: true, deadLetters: box });
    expect(again).toMatchObject({
      totalRecords: 10,
      successCount: 9,
      failureCount: 1,
      deadLetters: "a box",
      checkpoint: { status: "completed" },
    });
    expect(again.checkpoint.counts).toEqual(first.checkpoint.counts);
    expect([source.reads, target.sent.length, box.opened]).toEqual([0, 0, 0]);
  });

  it("starts from the beginning where there is no checkpoint", async () => {
    const target = new ScriptedStore();
    const result = await transfer(new ScriptedStore(records(5)), target, {
      transferId: "new",
      checkpoint: new MemoryCheckpointStore(),
      resume: true,
    });
    expect(result).toMatchObject({ successCount: 5 });
    expect(result.resumed).toBeUndefined();
  });

  it("starts from the beginning where the source cannot go on from a cursor, unless it was completed", async () => {
    const { target, resume } = await half();
    const source = new ScriptedStore(records(20), { capabilities: { resumable: false } });
    const box = new LetterBox();
    expect(await transfer(source, target, { ...resume, deadLetters: box })).toMatchObject({
      totalRecords: 20,
      successCount: 20,
    });
    expect(source.readOptions[0]!.after).toBeUndefined();
    expect(await transfer(source, target, resume)).toMatchObject({ totalRecords: 20 });
    expect(source.reads).toBe(1);
  });

  it("without resume starts from the beginning, and its old checkpoint is gone from then on", async () => {
    const { target, all, resume } = await half();
    const dead = new ScriptedStore([], {
      write: () => {
        throw new Error("killed before the first batch");
      },
    });
    await ending(transfer(new ScriptedStore(records(20)), dead, all));
    const source = new ScriptedStore(records(20));
    const other = new ScriptedStore();
    expect(await transfer(source, other, resume)).toMatchObject({ totalRecords: 20, successCount: 20 });
    expect(other.ids).toHaveLength(20);
    expect(target.ids).toHaveLength(10);
  });

  it("does not take a completed run for its own when a new one died at once", async () => {
    const checkpoint = new MemoryCheckpointStore();
    const options = { transferId: "daily", checkpoint };
    await transfer(new ScriptedStore(records(5)), new ScriptedStore(), options);
    await ending(
      transfer(
        new ScriptedStore(records(9)),
        new ScriptedStore([], {
          write: () => {
            throw new Error("killed");
          },
        }),
        options,
      ),
    );
    const target = new ScriptedStore();
    expect(await transfer(new ScriptedStore(records(9)), target, { ...options, resume: true })).toMatchObject({
      totalRecords: 9,
    });
    expect(target.ids).toHaveLength(9);
  });

  it.each<[string, TransferOptions, object, RegExp]>([
    ["query", {}, { query: { type: "other" } }, /query \(was \{\}, is \{"type":"other"\}\)/],
    [
      "source",
      {},
      { sourceEndpoint: { endpointId: "x", storageType: "scripted", database: "elsewhere" } },
      /source \(was scripted:from, is scripted:elsewhere\)/,
    ],
    [
      "source's options",
      {},
      {
        sourceEndpoint: {
          endpointId: "x",
          storageType: "scripted",
          database: "from",
          metadata: { table: "t", password: "s3cr3t" },
        },
      },
      /source \(was scripted:from, is scripted:from\?password=\[redacted\]&table=t\)/,
    ],
    [
      "target",
      {},
      { targetEndpoint: { endpointId: "x", storageType: "scripted", host: "h", port: 1 } },
      /target \(was scripted:to, is scripted:\/\/h:1\)/,
    ],
    ["mode", { mode: "skip" }, {}, /mode \(was upsert, is skip\)/],
    ["transform", { transform: (record) => record }, {}, /transform \(was none, is unversioned\)/],
    ["transform version", { transform: (record) => record, transformVersion: "2" }, {}, /transform \(was none, is 2\)/],
  ])("is refused when its %s changed", async (_, options, setting, message) => {
    const { target, resume } = await half();
    const source = new ScriptedStore(records(20));
    const error: unknown = await transfer(source, target, { ...resume, ...options }, setting).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "CHECKPOINT_MISMATCH", message: expect.stringMatching(message) });
    expect((error as Error).message).toMatch(
      /^The transfer "half" cannot be resumed, since this changed: .*\. Call it as before, or start it anew without resume$/,
    );
    expect((error as Error).message).not.toContain("s3cr3t");
    expect(source.reads).toBe(0);
  });

  it("is refused with several changes at once, all of them named", async () => {
    const { target, resume } = await half();
    await expect(
      transfer(new ScriptedStore(), target, { ...resume, mode: "insert" }, { query: { limit: 1 } }),
    ).rejects.toThrow(/query \(.*; mode \(/);
  });

  it("is refused with a changed transform version, and not with the same", async () => {
    const transform: Transform = (record) => record;
    const { target, resume } = await half({ transform, transformVersion: "1" });
    await expect(
      transfer(new ScriptedStore(records(20)), target, { ...resume, transformVersion: "2" }),
    ).rejects.toThrow(/transform \(was 1, is 2\)/);
    expect(await transfer(new ScriptedStore(records(20)), target, resume)).toMatchObject({ successCount: 20 });
  });

  it("is refused while it is being run", async () => {
    const { checkpoint, resume } = await half();
    const held = Promise.withResolvers<void>();
    const slow = new ScriptedStore([], {
      write: async (call) => {
        await held.promise;
        return call.apply();
      },
    });
    const running = transfer(new ScriptedStore(records(20)), slow, resume);
    await sleep(5);
    await expect(transfer(new ScriptedStore(records(20)), new ScriptedStore(), resume)).rejects.toMatchObject({
      code: "CHECKPOINT_LOCKED",
    });
    held.resolve();
    await running;
    expect(await checkpoint.load("half")).toMatchObject({ status: "completed" });
  });

  it("does not care for a clock that jumps backwards", async () => {
    const folder = temporaryFolderNow;
    const checkpoint = new FileCheckpointStore(folder);
    const target = new ScriptedStore([], {
      write: (call) => {
        if (call.number === 3) throw new Error("killed");
        return call.apply();
      },
    });
    const options = {
      batchSize: 2,
      concurrency: 1,
      transferId: "clock",
      checkpoint,
      deadLetters: new FileDeadLetterSink(join(folder, "clock.ndjson")),
    };
    await ending(transfer(new ScriptedStore(records(20)), target, options));
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("1999-12-31T23:59:59Z") });
    try {
      target.script = {
        write: (call) => {
          vi.setSystemTime(Date.now() - 1000 * call.number);
          return call.apply();
        },
      };
      const seen: number[] = [];
      const result = await transfer(new ScriptedStore(records(20)), target, {
        ...options,
        resume: true,
        transferTimeout: 60_000,
        progressInterval: 0,
        onProgress: ({ rate, elapsedMs, etaMs = 0 }) => seen.push(rate, elapsedMs, etaMs),
      });
      expect(result).toMatchObject({ totalRecords: 20, successCount: 20 });
      expect(result.durationMs).toBeGreaterThanOrEqual(0);
      expect(result.durationMs).toBeLessThan(60_000);
      expect(Math.min(...seen)).toBeGreaterThanOrEqual(0);
      expect(result.checkpoint.updatedAt < "2000").toBe(true);
    } finally {
      vi.useRealTimers();
    }
    await rm(join(folder, "clock.ndjson"), { force: true });
  });
});

describe("a target that is written in one go and says no position, as a pipe does not", () => {
  const piped = (wrong?: Error) => {
    const begun: unknown[] = [];
    const target = new ScriptedStore([], {
      write: ({ number, apply }) => {
        if (number === 2 && wrong) throw wrong;
        return apply();
      },
    });
    const sequential = {
      begin: async ({ after }: { after?: unknown }) => void begun.push(after),
      flush: async () => {},
      finish: async () => {},
    };
    return { begun, target: Object.assign(target, { sequential }) };
  };

  it("is not gone on with after what was written to it, and its checkpoint stays", async () => {
    const options = { transferId: "t", checkpoint: new MemoryCheckpointStore(), batchSize: 5, concurrency: 1 };
    await ending(transfer(new ScriptedStore(records(20)), piped(new Error("closed")).target, options));
    const before = await options.checkpoint.load("t");
    expect(before?.counts.successCount).toBe(10);
    const { begun, target } = piped();
    const error: unknown = await transfer(new ScriptedStore(records(20)), target, { ...options, resume: true }).catch(
      (thrown) => thrown,
    );
    expect(error).toMatchObject({ code: "CHECKPOINT_MISMATCH" });
    expect((error as Error).message).toMatch(/pipe.*without resume/);
    expect([begun, target.sent]).toEqual([[], []]);
    expect(await options.checkpoint.load("t")).toEqual(before);
  });

  it("is begun where nothing has been written to it", async () => {
    const options = { transferId: "t", checkpoint: new MemoryCheckpointStore(), batchSize: 5, concurrency: 1 };
    const transform = ({ id, ...rest }: { id: unknown }) => {
      if (Number(String(id).replace(/\D/g, "")) < 5) throw new Error("not this one");
      return { id, ...rest } as never;
    };
    const { target } = piped();
    target.script = {
      write: () => {
        throw new Error("closed");
      },
    };
    await ending(transfer(new ScriptedStore(records(20)), target, { ...options, transform, transformVersion: "1" }));
    expect((await options.checkpoint.load("t"))?.counts).toMatchObject({ successCount: 0, failureCount: 5 });
    const again = piped();
    const resumed = { ...options, transform, transformVersion: "1", resume: true };
    await transfer(new ScriptedStore(records(20)), again.target, resumed);
    expect(again.begun).toEqual([undefined]);
    expect(again.target.ids).toHaveLength(15);
  });
});

const temporaryFolderNow = temporaryFolder();
