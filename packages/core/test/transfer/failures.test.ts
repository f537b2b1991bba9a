import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deadLetterStarter } from "../../src/engine.ts";
import {
  type DeadLetter,
  FileDeadLetterSink,
  MemoryCheckpointStore,
  P2PError,
  type P2PRecord,
  TaggedValue,
  type TransferOptions,
} from "../../src/index.ts";
import { fromJson, type JsonValue, type P2PDataTransferService } from "../../src/starter.ts";
import { temporaryFolder } from "../support/folder.ts";
import { records, refused, ScriptedStore, withFailures } from "../support/scripted-store.ts";
import { CheckpointLog, ending, expectNoUnhandledRejections, LetterBox, transfer } from "../support/transferring.ts";

const root = temporaryFolder();

expectNoUnhandledRejections();

/** A target that refuses some records. */
const refusing = (which: (at: number) => boolean) =>
  new ScriptedStore([], {
    write: (call) => withFailures(call, ({ at }) => (which(at as number) ? refused() : undefined)),
  });

describe("max_failures", () => {
  const run = (which: (at: number) => boolean, options: TransferOptions, count = 100) =>
    transfer(new ScriptedStore(records(count)), refusing(which), { batchSize: 10, concurrency: 1, ...options });

  it.each<[TransferOptions["maxFailures"], (at: number) => boolean, boolean]>([
    ["none", () => false, true],
    ["none", (at) => at === 55, false],
    [0, (at) => at === 55, false],
    [3, (at) => at % 30 === 0, false],
    [4, (at) => at % 30 === 0, true],
    ["10%", (at) => at % 10 === 0, true],
    ["10%", (at) => at % 9 === 0, false],
    ["all", () => true, true],
    [undefined, (at) => at > 0, true],
  ])("%s: case %#", async (maxFailures, which, borne) => {
    if (borne) {
      const result = await run(which, { maxFailures });
      expect(result.failureCount).toBe(records(100).filter(({ at }) => which(at as number)).length);
    } else {
      expect(await ending(run(which, { maxFailures }))).toMatchObject({ code: "TOO_MANY_FAILURES" });
    }
  });

  it("stops the transfer with the batch that was too much, its letters and its checkpoint", async () => {
    const box = new LetterBox();
    const checkpoint = new CheckpointLog();
    const error = await ending(
      run((at) => at === 23 || at === 27, { max_failures: 1, deadLetters: box, transferId: "t", checkpoint }),
    );
    expect(error.message).toBe(
      "2 of 30 records failed, which is more than max_failures bears; the last one: it does not fit. Mend the cause and resume, or allow more failures",
    );
    expect(error.result).toMatchObject({ totalRecords: 30, failureCount: 2, successCount: 28 });
    expect(box.letters.map(({ position }) => position)).toEqual([23, 27]);
    expect(checkpoint.saved.at(-1)).toMatchObject({ status: "running", recordsRead: 30, counts: { failureCount: 2 } });
  });

  it("lets who has mended the cause resume, and counts anew from there", async () => {
    const box = new LetterBox();
    const options = {
      maxFailures: "none" as const,
      deadLetters: box,
      transferId: "t",
      checkpoint: new MemoryCheckpointStore(),
    };
    await ending(run((at) => at === 23, options));
    expect(await run(() => false, { ...options, resume: true })).toMatchObject({
      totalRecords: 100,
      failureCount: 1,
      successCount: 99,
    });
    expect(box.letters).toHaveLength(1);
    await ending(run((at) => at === 23, options));
    expect(await ending(run((at) => at === 70, { ...options, resume: true }))).toMatchObject({
      code: "TOO_MANY_FAILURES",
      result: { failureCount: 2 },
    });
  });

  it("counts over all runs of a transfer that ended for another reason", async () => {
    const options = { maxFailures: 3, transferId: "t", checkpoint: new MemoryCheckpointStore() };
    const target = refusing((at) => at % 10 < 2);
    const write = target.script.write!;
    target.script = {
      write: (call) => {
        if (call.number === 1) throw new Error("killed");
        return write(call);
      },
    };
    const again = { batchSize: 10, concurrency: 1, ...options };
    await ending(transfer(new ScriptedStore(records(100)), target, again));
    expect(
      await ending(
        transfer(
          new ScriptedStore(records(100)),
          refusing((at) => at % 10 < 2),
          { ...again, resume: true },
        ),
      ),
    ).toMatchObject({
      code: "TOO_MANY_FAILURES",
      result: { failureCount: 4, totalRecords: 20 },
    });
  });

  it("unless given, stops at a target that takes nothing after a thousand records", async () => {
    const box = new LetterBox();
    const target = refusing(() => true);
    const error = await ending(
      transfer(new ScriptedStore(records(100_000)), target, { batchSize: 100, deadLetters: box }),
    );
    expect(error).toMatchObject({ code: "TOO_MANY_FAILURES", result: { totalRecords: 1000, failureCount: 1000 } });
    expect(box.letters).toHaveLength(1000);
    expect(target.sent.flat().length).toBeLessThanOrEqual(1000 + 4 * 100);
  });

  it("unless given, bears any number of failures among successes", async () => {
    const result = await transfer(
      new ScriptedStore(records(3000)),
      refusing((at) => at !== 500),
      { batchSize: 100 },
    );
    expect(result).toMatchObject({ totalRecords: 3000, failureCount: 2999 });
  });
});

describe("a file of dead letters", () => {
  const inFile = async () => join(await mkdtemp(join(root, "letters-")), "deep", "er", "failed.ndjson");
  const linesOf = (file: string) =>
    readFileSync(file, "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as DeadLetter & { record: JsonValue });

  it("has a line for each failure, with the record and its types", async () => {
    const file = await inFile();
    const odd: P2PRecord = {
      id: 7n,
      at: 1,
      d: new Date(0),
      b: Uint8Array.of(1),
      n: -0,
      t: new TaggedValue("a:b", 1),
      $p2p: "x",
      text: "line\nbreak\u2028",
    };
    const list = [records(1)[0]!, odd, { at: 2 } as never];
    const result = await transfer(
      new ScriptedStore(list),
      refusing((at) => at === 1),
      { deadLetters: file, transferId: "nightly", checkpoint: new MemoryCheckpointStore() },
    );
    expect(result.deadLetters).toBe(file);
    const [first, second, ...rest] = linesOf(file);
    expect(rest).toEqual([]);
    expect(first).toMatchObject({
      transferId: "nightly",
      id: "7",
      phase: "write",
      code: "TYPE_MISMATCH",
      reason: "it does not fit",
      attempts: 1,
      position: 1,
    });
    expect(fromJson(first!.record)).toEqual(odd);
    expect(new Date(first!.at).toISOString()).toBe(first!.at);
    expect(second).toMatchObject({ id: "", phase: "read", code: "INVALID_RECORD", record: { at: 2 } });
  });

  it("is not made when nothing fails, and one of an earlier run is kept under another name", async () => {
    const file = await inFile();
    expect(
      await transfer(new ScriptedStore(records(3)), new ScriptedStore(), { deadLetters: file }),
    ).not.toHaveProperty("deadLetters");
    await expect(readFile(file)).rejects.toThrow("ENOENT");
    await transfer(
      new ScriptedStore(records(3)),
      refusing(() => true),
      { deadLetters: file },
    );
    expect(linesOf(file)).toHaveLength(3);
    const before = readFileSync(file, "utf8");
    const { notes } = await transfer(new ScriptedStore(records(3)), new ScriptedStore(), { deadLetters: file });
    const aside = file.replace(/\.ndjson$/, ".1.ndjson");
    expect(notes).toEqual([`The records that failed in an earlier run are kept in ${aside}`]);
    expect(readFileSync(aside, "utf8")).toBe(before);
    await expect(readFile(file)).rejects.toThrow("ENOENT");
  });

  it("shows things that are no records as well as it can", async () => {
    const file = await inFile();
    const circle: Record<string, unknown> = { id: "circle", when: new Date(Number.NaN), list: [1] };
    circle.self = circle;
    await transfer(
      new ScriptedStore([
        circle as never,
        "junk" as never,
        { id: "s", t: "\ud800" },
        { id: "f", f: () => 1, u: [undefined] } as never,
      ]),
      new ScriptedStore(),
      { deadLetters: file },
    );
    expect(linesOf(file).map(({ id }) => id)).toEqual(["circle", "", "s", "f"]);
  });

  it("is cut back to where the checkpoint says, and refused when it is shorter or gone", async () => {
    const file = await inFile();
    const sink = new FileDeadLetterSink(file);
    const letter = (id: string): DeadLetter => ({
      transferId: "t",
      id,
      phase: "write",
      code: "WRITE_FAILED",
      reason: "no",
      attempts: 1,
      position: 0,
      at: "2026-01-01T00:00:00.000Z",
    });
    await sink.open(null);
    const position = await sink.write([letter("a"), letter("b")]);
    await sink.write([letter("c")]);
    await sink.close();
    expect(linesOf(file)).toHaveLength(3);
    await sink.open(position);
    await sink.write([letter("d")]);
    await sink.close();
    expect(linesOf(file).map(({ id }) => id)).toEqual(["a", "b", "d"]);
    await expect(sink.open(1e6)).rejects.toMatchObject({
      code: "DEAD_LETTER_FAILED",
      message: expect.stringContaining("letters of the earlier run are missing"),
    });
    expect(linesOf(file)).toHaveLength(3);
    rmSync(file);
    await expect(sink.open(position)).rejects.toMatchObject({
      code: "DEAD_LETTER_FAILED",
      message: expect.stringContaining("gone"),
    });
  });

  it("that cannot be written ends the transfer, and nothing is counted that was not kept", async () => {
    const folder = await mkdtemp(join(root, "letters-"));
    await expect(
      transfer(new ScriptedStore(records(1)), new ScriptedStore(), { deadLetters: folder }),
    ).rejects.toMatchObject({ code: "DEAD_LETTER_FAILED" });
    await writeFile(join(folder, "file"), "");
    const target = refusing(() => true);
    const error: unknown = await transfer(new ScriptedStore(records(4)), target, {
      deadLetters: join(folder, "file", "x.ndjson"),
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "DEAD_LETTER_FAILED",
      message: expect.stringMatching(/Make room or give another deadLetters file, and resume$/),
    });
    expect(target.sent).toEqual([]);
  });

  it("is made to survive a loss of power before the checkpoint that knows of it is", async () => {
    const order: string[] = [];
    const checkpoint = new CheckpointLog(({ counts }) => order.push(`save ${counts.failureCount}`));
    const box = Object.assign(new LetterBox(), { flush: async () => void order.push(`letters ${box.letters.length}`) });
    Object.assign(checkpoint, { flush: async () => void order.push("checkpoint") });
    await transfer(
      new ScriptedStore(records(4)),
      refusing((at) => at === 1),
      { transferId: "t", checkpoint, deadLetters: box },
    );
    expect(order).toEqual(["save 1", "save 1", "letters 1", "checkpoint"]);
    order.length = 0;
    const target = refusing((at) => at === 1);
    const write = target.script.write!;
    target.script = {
      write: (call) => {
        if (call.number === 1) throw new Error("killed");
        return write(call);
      },
    };
    await ending(
      transfer(new ScriptedStore(records(4)), target, {
        transferId: "t",
        checkpoint,
        deadLetters: box,
        batchSize: 2,
        concurrency: 1,
      }),
    );
    expect(order.slice(-3)).toEqual(["save 1", "letters 1", "checkpoint"]);
  });
});

describe("dead letters as a source", () => {
  const open = (file: string, metadata?: Record<string, unknown>): Promise<P2PDataTransferService> =>
    deadLetterStarter.open(
      { endpointId: "e", storageType: "dead-letters", database: file, ...(metadata && { metadata }) },
      { role: "source", signal: new AbortController().signal, connectTimeoutMs: 1000 },
    );

  async function failed(list: readonly P2PRecord[], options: TransferOptions = {}) {
    const file = join(await mkdtemp(join(root, "replay-")), "failed.ndjson");
    await transfer(
      new ScriptedStore(list),
      new ScriptedStore([], { write: (call) => withFailures(call, () => refused()) }),
      { deadLetters: file, ...options },
    );
    return file;
  }

  it("are replayed to a target that takes them now", async () => {
    const list = records(250, (at) => ({
      when: new Date(at),
      error: at % 2 ? "a field of that name" : undefined,
      big: 2n ** 70n,
      text: "ü\n".repeat(300),
    }));
    const file = await failed(list);
    const target = new ScriptedStore();
    const source = await open(file);
    const result = await transfer(source as ScriptedStore, target, { batchSize: 40 });
    expect(result).toMatchObject({ totalRecords: 250, successCount: 250, failureCount: 0 });
    expect([...target.content.values()]).toEqual(
      list.map(({ error, ...rest }) => (error === undefined ? rest : { ...rest, error })),
    );
    expect(await source.count({}, new AbortController().signal)).toBe(250);
    await source.close();
  });

  it("can be read on from any cursor, and by conditions", async () => {
    const source = await open(await failed(records(30)));
    const signal = new AbortController().signal;
    const batches = [];
    for await (const batch of source.readFromSource({}, { batchSize: 7, signal })) batches.push(batch);
    const ids = batches.flatMap((batch) => batch.records.map(({ id }) => id));
    expect(ids).toEqual(records(30).map(({ id }) => id));
    for (const [at, { cursor }] of batches.entries()) {
      const rest = [];
      for await (const batch of source.readFromSource({}, { batchSize: 4, after: cursor, signal }))
        rest.push(...batch.records);
      expect(rest.map(({ id }) => id)).toEqual(ids.slice((at + 1) * 7));
    }
    const some = [];
    for await (const batch of source.readFromSource(
      { where: { at: { gte: 10 } }, offset: 2, limit: 3, fields: ["at"] },
      { batchSize: 2, signal },
    ))
      some.push(...batch.records);
    expect(some).toEqual([12, 13, 14].map((at) => ({ id: records(30)[at]!.id, at })));
  });

  it("give the records that the transform failed on, when asked", async () => {
    const transform = (record: P2PRecord) => {
      if (record.at === 1) throw new Error("no title");
      return record;
    };
    const file = await failed(records(3), { transform });
    const take = async (metadata?: Record<string, unknown>) => {
      const target = new ScriptedStore();
      await transfer((await open(file, metadata)) as ScriptedStore, target);
      return target.ids;
    };
    expect(await take()).toEqual(["r00000", "r00002"]);
    expect(await take({ phase: "transform" })).toEqual(["r00001"]);
    await expect(open(file, { phase: "all" })).rejects.toMatchObject({ code: "INVALID_ENDPOINT" });
  });

  it("pass over a torn last line, and count any other that is no letter as failed", async () => {
    const file = await failed(records(3));
    const text = await readFile(file, "utf8");
    const take = async (content: string) => {
      await writeFile(file, content);
      const target = new ScriptedStore();
      const { successCount, failureCount } = await transfer((await open(file)) as ScriptedStore, target);
      return [successCount, failureCount];
    };
    expect(await take(text.slice(0, -20))).toEqual([2, 0]);
    expect(await take(text.slice(0, -1))).toEqual([3, 0]);
    expect(await take("")).toEqual([0, 0]);
    expect(await take(`hello\n${text}{"phase":"write"}\n{}\nnull\n`)).toEqual([3, 4]);
    expect(await take(text.replace("\n", '\n{"phase":"write","record":{"$p2p":"bigint","value":"x"}}\n'))).toEqual([
      3, 1,
    ]);
  });

  it("must be there, and are no target", async () => {
    await expect(open(join(root, "nowhere.ndjson"))).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
    await expect(open(root)).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
    await expect(open("")).rejects.toMatchObject({ code: "INVALID_ENDPOINT" });
    const context = { role: "target", signal: new AbortController().signal, connectTimeoutMs: 1000 } as const;
    await expect(
      deadLetterStarter.open({ endpointId: "e", storageType: "dead-letters", database: "x" }, context),
    ).rejects.toMatchObject({ code: "INVALID_ENDPOINT" });
  });
});

describe("a disk that is full", () => {
  const full = () => Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });

  it("for checkpoints ends the transfer with what is in them, and it can be resumed", async () => {
    let room = 3;
    const checkpoint = new CheckpointLog(() => {
      if (room-- <= 0) throw new P2PError("STORAGE_FULL", "The checkpoint could not be written", { cause: full() });
    });
    const target = new ScriptedStore();
    const options = { batchSize: 5, concurrency: 2, transferId: "t", checkpoint };
    const error = await ending(transfer(new ScriptedStore(records(50)), target, options));
    expect(error).toMatchObject({ code: "STORAGE_FULL", message: "The checkpoint could not be written" });
    expect((await checkpoint.load("t"))!.recordsRead).toBeLessThanOrEqual(15);
    room = 1000;
    expect(await transfer(new ScriptedStore(records(50)), target, { ...options, resume: true })).toMatchObject({
      totalRecords: 50,
      successCount: 50,
    });
    expect(target.ids).toHaveLength(50);
  });

  it("for a foreign store of checkpoints is wrapped", async () => {
    const checkpoint = new CheckpointLog(() => {
      throw full();
    });
    const error = await ending(
      transfer(new ScriptedStore(records(5)), new ScriptedStore(), { transferId: "t", checkpoint }),
    );
    expect(error).toMatchObject({
      code: "HOOK_FAILED",
      message: expect.stringMatching(/^save\(\) of the checkpoint store failed: ENOSPC/),
      cause: { cause: { code: "ENOSPC" } },
    });
  });

  it("for dead letters ends the transfer before anything is counted that was not kept", async () => {
    const box = new LetterBox();
    const keep = box.write.bind(box);
    let room = 2;
    box.write = async (letters) => {
      if (room-- <= 0) throw new P2PError("DEAD_LETTER_FAILED", "no room", { cause: full() });
      return keep(letters);
    };
    const options = {
      batchSize: 5,
      concurrency: 1,
      transferId: "t",
      checkpoint: new MemoryCheckpointStore(),
      deadLetters: box,
    };
    const error = await ending(
      transfer(
        new ScriptedStore(records(50)),
        refusing((at) => at % 5 === 0),
        options,
      ),
    );
    expect(error).toMatchObject({ code: "DEAD_LETTER_FAILED", result: { totalRecords: 10, failureCount: 2 } });
    room = 1000;
    const result = await transfer(
      new ScriptedStore(records(50)),
      refusing((at) => at % 5 === 0),
      { ...options, resume: true },
    );
    expect(result).toMatchObject({ totalRecords: 50, failureCount: 10 });
    expect(box.letters.map(({ position }) => position)).toEqual(Array.from({ length: 10 }, (_, i) => i * 5));
  });

  describe("really", () => {
    const small = join(root, "tmpfs");
    let why: string | undefined;

    beforeAll(async () => {
      await mkdir(small);
      try {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", small], { stdio: "pipe" });
      } catch (error) {
        why = `no small tmpfs can be mounted here: ${(error as Error).message.trim()}`;
        console.log(`not run: a really full disk, since ${why}`);
      }
    });
    afterAll(() => {
      if (why === undefined) execFileSync("umount", [small]);
    });

    /** Fills the disk to its last byte, and gives the room back. */
    function fill(): () => void {
      const file = join(small, "filler");
      const handle = openSync(file, "w");
      for (let size = 4096; size >= 1; size /= 2) {
        try {
          for (;;) writeSync(handle, Buffer.alloc(size));
        } catch {}
      }
      closeSync(handle);
      return () => rmSync(file);
    }

    it("is a typed error for the checkpoint, and after room is made the transfer completes", async ({ skip }) => {
      if (why !== undefined) skip(why);
      let makeRoom: (() => void) | undefined;
      const target = new ScriptedStore([], {
        write: (call) => {
          if (call.number === 3) makeRoom = fill();
          return call.apply();
        },
      });
      const options = { batchSize: 5, concurrency: 2, transferId: "full", checkpoint: small };
      const error = await ending(transfer(new ScriptedStore(records(60)), target, options));
      expect(error).toMatchObject({
        code: "STORAGE_FULL",
        message: expect.stringMatching(/could not be written: ENOSPC.*Make room and resume/),
      });
      await expect(
        transfer(new ScriptedStore(records(60)), target, { ...options, resume: true }),
      ).rejects.toMatchObject({ code: "STORAGE_FULL" });
      makeRoom!();
      expect(await transfer(new ScriptedStore(records(60)), target, { ...options, resume: true })).toMatchObject({
        totalRecords: 60,
        successCount: 60,
      });
      expect(target.ids).toHaveLength(60);
    });

    it("is a typed error for the dead letters, and after room is made they are all kept", async ({ skip }) => {
      if (why !== undefined) skip(why);
      const file = join(small, "failed.ndjson");
      const list = records(60, () => ({ text: "x".repeat(500) }));
      let makeRoom: (() => void) | undefined;
      const target = refusing(() => true);
      const write = target.script.write!;
      target.script = {
        write: (call) => {
          if (call.number === 3) makeRoom = fill();
          return write(call);
        },
      };
      const options = {
        batchSize: 5,
        concurrency: 1,
        transferId: "t",
        checkpoint: new MemoryCheckpointStore(),
        deadLetters: file,
      };
      const error = await ending(transfer(new ScriptedStore(list), target, options));
      expect(error).toMatchObject({ code: "DEAD_LETTER_FAILED", message: expect.stringContaining("ENOSPC") });
      makeRoom!();
      expect(await transfer(new ScriptedStore(list), target, { ...options, resume: true })).toMatchObject({
        totalRecords: 60,
        failureCount: 60,
      });
      const lines = readFileSync(file, "utf8")
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as DeadLetter).id);
      expect(lines).toEqual(list.map(({ id }) => id));
    });
  });
});
