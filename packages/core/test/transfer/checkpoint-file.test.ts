import { spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { link, mkdir, mkdtemp, readFile, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Checkpoint } from "../../src/engine.ts";
import { FileCheckpointStore, isP2PError, MemoryCheckpointStore } from "../../src/index.ts";
import { lockedError } from "../../src/transfer/checkpoint/checkpoint.ts";
import { acquireFileLock as acquire } from "../../src/transfer/durable/file-lock.ts";
import { temporaryFolder } from "../support/folder.ts";
import { records, ScriptedStore } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections, transfer } from "../support/transferring.ts";

const root = temporaryFolder();
const newFolder = () => mkdtemp(join(root, "store-"));

const checkpoint: Checkpoint = {
  version: 1,
  transferId: "t",
  status: "running",
  identity: { source: "scripted:from", target: "scripted:to", query: "{}", mode: "upsert", transform: "none" },
  cursor: 5,
  recordsRead: 5,
  counts: { totalRecords: 5, successCount: 5, failureCount: 0, skippedCount: 0, retryCount: 0 },
  deadLetterPosition: null,
  updatedAt: "2026-01-01T00:00:00.000Z",
};

expectNoUnhandledRejections();

async function fails(promise: Promise<unknown>): Promise<Error & { code: string }> {
  const error = await promise.then(
    () => new Error("it did not fail"),
    (thrown: unknown) => thrown,
  );
  expect(isP2PError(error), String(error)).toBe(true);
  return error as Error & { code: string };
}

describe.each([
  ["memory", async () => new MemoryCheckpointStore()],
  ["files", async () => new FileCheckpointStore(await newFolder())],
])("a store of checkpoints in %s", (_, make) => {
  it("gives back what was saved, replaced as a whole, until it is removed", async () => {
    const store = await make();
    expect(await store.load("t")).toBeUndefined();
    const unlock = await store.lock("t");
    await store.save(checkpoint);
    await store.save({ ...checkpoint, recordsRead: 9 });
    expect(await store.load("t")).toEqual({ ...checkpoint, recordsRead: 9 });
    expect(await store.load("other")).toBeUndefined();
    await store.remove("t");
    await store.remove("t");
    expect(await store.load("t")).toBeUndefined();
    await unlock();
  });

  it("lets one run have a transfer at a time", async () => {
    const store = await make();
    const unlock = await store.lock("t");
    expect(await fails(store.lock("t"))).toMatchObject({ code: "CHECKPOINT_LOCKED" });
    await (await store.lock("other"))();
    await unlock();
    const again = await store.lock("t");
    await unlock();
    expect(await fails(store.lock("t")), "an old key opens no new lock").toMatchObject({ code: "CHECKPOINT_LOCKED" });
    await again();
  });
});

describe("a checkpoint file", () => {
  it("is one JSON object that says what it is", async () => {
    const folder = await newFolder();
    await transfer(new ScriptedStore(records(3)), new ScriptedStore(), {
      transferId: "nightly run",
      checkpoint: folder,
    });
    expect(readdirSync(folder)).toEqual(["nightly%20run.checkpoint.json"]);
    expect(JSON.parse(readFileSync(join(folder, "nightly%20run.checkpoint.json"), "utf8"))).toMatchObject({
      version: 1,
      transferId: "nightly run",
      status: "completed",
      cursor: 3,
      recordsRead: 3,
    });
  });

  it.each([
    "a/b",
    "..",
    ".",
    "../../etc/passwd",
    "a*b",
    "c:d",
    "é\u{1f600}",
    "x".repeat(200),
    "名".repeat(200),
    "\0",
    "con ",
  ])("is within its folder, whatever the transfer is called: %j", async (transferId) => {
    const folder = await newFolder();
    const store = new FileCheckpointStore(folder);
    const result = await transfer(new ScriptedStore(records(2)), new ScriptedStore(), {
      transferId,
      checkpoint: store,
    });
    expect(result.successCount).toBe(2);
    expect(await store.load(transferId)).toMatchObject({ transferId });
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it("of two transfers with long names are two", async () => {
    const store = new FileCheckpointStore(await newFolder());
    const [a, b] = [`${"名".repeat(199)}a`, `${"名".repeat(199)}b`];
    await (await store.lock(a))();
    await store.save({ ...checkpoint, transferId: a });
    expect(await store.load(b)).toBeUndefined();
  });

  it.each<[string, string, RegExp]>([
    ["empty", "", /the file is empty/],
    ["cut off", JSON.stringify(checkpoint).slice(0, 100), /cut off or not JSON/],
    ["no JSON", "hello", /cut off or not JSON/],
    ["null", "null", /it is not a checkpoint/],
    ["a list", "[]", /not a checkpoint of this library/],
    ["foreign", '{"name":"some package","version":"1.0.0"}', /not a checkpoint of this library/],
    [
      "of an older version",
      JSON.stringify({ ...checkpoint, version: 0 }),
      /it has version 0, and this release reads version 1/,
    ],
    ["of a newer version", JSON.stringify({ ...checkpoint, version: 2 }), /it has version 2/],
    [
      "of another transfer",
      JSON.stringify({ ...checkpoint, transferId: "other" }),
      /it belongs to the transfer "other"/,
    ],
    ...Object.keys(checkpoint)
      .filter((key) => !["version", "updatedAt"].includes(key))
      .map((key): [string, string, RegExp] => [
        `without ${key}`,
        JSON.stringify({ ...checkpoint, [key]: undefined }),
        /parts of it are missing/,
      ]),
    ["with a null identity", JSON.stringify({ ...checkpoint, identity: null }), /parts of it are missing/],
    [
      "with counts that are none",
      JSON.stringify({ ...checkpoint, counts: { ...checkpoint.counts, failureCount: "5" } }),
      /parts of it are missing/,
    ],
    [
      "with a negative number of records",
      JSON.stringify({ ...checkpoint, recordsRead: -5 }),
      /parts of it are missing/,
    ],
    ["with an unknown status", JSON.stringify({ ...checkpoint, status: "paused" }), /parts of it are missing/],
  ])("that is %s is refused with what to do, and starting anew replaces it", async (_, text, why) => {
    const folder = await newFolder();
    const file = join(folder, "t.checkpoint.json");
    await writeFile(file, text);
    const options = { transferId: "t", checkpoint: folder };
    const target = new ScriptedStore();
    const error = await fails(transfer(new ScriptedStore(records(9)), target, { ...options, resume: true }));
    expect(error.code).toBe("CHECKPOINT_INVALID");
    expect(error.message).toMatch(why);
    expect(error.message).toMatch(
      /^The checkpoint of the transfer "t" cannot be used: .*Start the transfer anew without resume, which replaces it$/,
    );
    expect(target.sent).toEqual([]);
    expect(await readFile(file, "utf8")).toBe(text);
    expect(await transfer(new ScriptedStore(records(9)), target, options)).toMatchObject({ totalRecords: 9 });
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ status: "completed" });
    expect(readdirSync(folder)).toEqual(["t.checkpoint.json"]);
  });

  it("whole is resumed", async () => {
    const folder = await newFolder();
    await writeFile(join(folder, "t.checkpoint.json"), JSON.stringify(checkpoint));
    const target = new ScriptedStore();
    const result = await transfer(new ScriptedStore(records(9)), target, {
      transferId: "t",
      checkpoint: folder,
      resume: true,
    });
    expect(result).toMatchObject({ totalRecords: 9, successCount: 9 });
    expect(target.sent.flat().map(({ at }) => at)).toEqual([5, 6, 7, 8]);
  });

  it("that cannot be read or written is a typed error", async () => {
    const folder = await newFolder();
    await mkdir(join(folder, "t.checkpoint.json"));
    const options = { transferId: "t", checkpoint: folder };
    expect(
      await fails(transfer(new ScriptedStore(records(1)), new ScriptedStore(), { ...options, resume: true })),
    ).toMatchObject({ code: "CHECKPOINT_INVALID" });
    expect(await fails(transfer(new ScriptedStore(records(1)), new ScriptedStore(), options))).toMatchObject({
      code: "CHECKPOINT_INVALID",
    });
    await writeFile(join(folder, "file"), "");
    expect(
      await fails(
        transfer(new ScriptedStore(), new ScriptedStore(), { transferId: "t", checkpoint: join(folder, "file") }),
      ),
    ).toMatchObject({ code: "CHECKPOINT_INVALID" });
    expect(readdirSync(folder).sort()).toEqual(["file", "t.checkpoint.json"]);
  });
});

/** The lock of a transfer; gives back what gives it back. */
async function acquireFileLock(file: string, transferId: string, silenceMs?: number): Promise<() => Promise<void>> {
  const lock = await acquire(file, (holder) => lockedError(transferId, holder), silenceMs);
  return () => lock.release();
}

describe("the lock of a transfer", () => {
  const holder = (more: object = {}) => JSON.stringify({ token: "x", pid: process.pid, host: hostname(), ...more });
  /** The place of this process among the processes of this machine, as a lock names it. */
  const here = async () => {
    const file = join(await newFolder(), "probe.lock");
    const unlock = await acquireFileLock(file, "probe");
    const { pids } = JSON.parse(await readFile(file, "utf8")) as { pids?: string };
    await unlock();
    return pids;
  };
  const deadPid = () => spawnSync(process.execPath, ["-e", ""]).pid;

  it("of a process that has died is taken over", async () => {
    const file = join(await newFolder(), "t.lock");
    await writeFile(file, holder({ pid: deadPid() }));
    const unlock = await acquireFileLock(file, "t");
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ pid: process.pid });
    await unlock();
    expect(readdirSync(join(file, ".."))).toEqual([]);
  });

  it("of a process whose number another one has now is taken over", async () => {
    const file = join(await newFolder(), "t.lock");
    await writeFile(file, holder({ started: "1" }));
    if (process.platform === "linux") await (await acquireFileLock(file, "t"))();
    else expect(await fails(acquireFileLock(file, "t"))).toMatchObject({ code: "CHECKPOINT_LOCKED" });
  });

  it("of a live process, or of one on another machine, is not", async () => {
    const file = join(await newFolder(), "t.lock");
    for (const more of [{}, { pid: 1 }, { pid: deadPid(), host: "another-machine" }]) {
      await writeFile(file, holder(more));
      const error = await fails(acquireFileLock(file, "t"));
      expect(error.code).toBe("CHECKPOINT_LOCKED");
      expect(error.message).toMatch(
        /^The transfer "t" is being run by process \d+ on .*delete .*t\.lock.*another transferId$/,
      );
      expect(await readFile(file, "utf8")).toBe(holder(more));
    }
  });

  it.each(["", "{", "null", "5", "{}", '"x"', '{"pid":"1","host":5}'])(
    "that holds %j belongs to nobody",
    async (text) => {
      const file = join(await newFolder(), "t.lock");
      await writeFile(file, text);
      await (await acquireFileLock(file, "t"))();
      expect(readdirSync(join(file, ".."))).toEqual([]);
    },
  );

  it("does not depend on the clock", async () => {
    const file = join(await newFolder(), "t.lock");
    const unlock = await acquireFileLock(file, "t");
    await utimes(file, new Date(0), new Date(0));
    expect(await fails(acquireFileLock(file, "t"))).toMatchObject({ code: "CHECKPOINT_LOCKED" });
    await unlock();
  });

  it("goes to one of many that take over a dead one's at once", async () => {
    for (let round = 0; round < 10; round++) {
      const folder = await newFolder();
      const file = join(folder, "t.lock");
      await writeFile(file, holder({ pid: deadPid() }));
      const tries = await Promise.allSettled(Array.from({ length: 8 }, () => acquireFileLock(file, "t")));
      const won = tries.filter((outcome) => outcome.status === "fulfilled");
      expect(won).toHaveLength(1);
      await won[0]!.value();
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  it("of a holder whose process cannot be looked up is taken over when it gives no sign of life", async () => {
    const file = join(await newFolder(), "t.lock");
    // The number is of a live process here, and of another one there; the clock is an hour off.
    await writeFile(file, holder({ pids: "another boot or container" }));
    await utimes(file, new Date(Date.now() + 3_600_000), new Date(Date.now() + 3_600_000));
    const unlock = await acquireFileLock(file, "t", 300);
    await unlock();
    expect(readdirSync(join(file, ".."))).toEqual([]);
  });

  it.each([-3_600_000, 3_600_000])("of such a holder that lives is not, though its clock is %i ms off", async (off) => {
    const file = join(await newFolder(), "t.lock");
    await writeFile(file, holder({ pids: "another container", pid: deadPid() }));
    const beat = setInterval(() => void utimes(file, new Date(), new Date(Date.now() + off)), 100);
    try {
      expect(await fails(acquireFileLock(file, "t", 2000))).toMatchObject({ code: "CHECKPOINT_LOCKED" });
    } finally {
      clearInterval(beat);
    }
  });

  it("is held by signs of life, of which others see that they change", async () => {
    const file = join(await newFolder(), "t.lock");
    const unlock = await acquireFileLock(file, "t");
    const times = new Set<number>();
    for (let look = 0; look < 8; look++) {
      times.add(statSync(file).mtimeMs);
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
    expect(times.size).toBeGreaterThan(1);
    await unlock();
  });

  it("that was taken over lets its former holder save nothing more", async () => {
    const folder = await newFolder();
    const store = new FileCheckpointStore(folder);
    const unlock = await store.lock("t");
    await store.save(checkpoint);
    const file = join(folder, "t.checkpoint.json.lock");
    await rm(file);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const other = new FileCheckpointStore(folder);
    const release = await other.lock("t");
    await other.save({ ...checkpoint, recordsRead: 9 });
    expect(await fails(store.save({ ...checkpoint, recordsRead: 7 }))).toMatchObject({ code: "CHECKPOINT_LOCKED" });
    expect(await fails(store.save({ ...checkpoint, transferId: "t.part-2" }))).toMatchObject({
      code: "CHECKPOINT_LOCKED",
    });
    await unlock();
    expect(existsSync(file), "the other's lock").toBe(true);
    expect(await other.load("t")).toMatchObject({ recordsRead: 9 });
    await release();
    expect(readdirSync(folder)).toEqual(["t.checkpoint.json"]);
  });

  it("is one for two containers of one host name, and is taken over when the one is killed", async (context) => {
    const spaces = spawnSync("unshare", ["-p", "-f", "true"]);
    if (spaces.status !== 0) context.skip("not run: this machine makes no namespaces of process ids for us");
    const file = join(await newFolder(), "t.lock");
    const module = JSON.stringify(join(import.meta.dirname, "../../src/transfer/durable/file-lock.ts"));
    const script = `
      import { acquireFileLock } from ${module};
      await acquireFileLock(${JSON.stringify(file)}, (who) => new Error(who));
      console.log("held");
      setInterval(() => {}, 1000);`;
    const child = spawn(
      "unshare",
      ["-p", "-f", "--kill-child", process.execPath, "--input-type=module", "-e", script],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    try {
      await once(child.stdout, "data");
      // Its number there belongs to another process here, or to none.
      expect(JSON.parse(readFileSync(file, "utf8")).pid).toBeLessThan(10);
      expect(await fails(acquireFileLock(file, "t", 5000))).toMatchObject({ code: "CHECKPOINT_LOCKED" });
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
      await (await acquireFileLock(file, "t", 3000))();
      expect(readdirSync(join(file, ".."))).toEqual([]);
    } finally {
      child.kill("SIGKILL");
    }
  }, 30_000);

  it("is taken with what killed runs left half-written removed, and nothing else", async () => {
    const folder = await newFolder();
    const left = [
      "t.checkpoint.json.4711-1.tmp",
      `t.checkpoint.json.${randomUUID()}-3.tmp`,
      `t.part-2.checkpoint.json.${randomUUID()}-1.tmp`,
      `t.checkpoint.json.lock.${randomUUID()}`,
      "old.checkpoint.json.4711-1.tmp",
    ];
    const kept = ["other.checkpoint.json.4711-1.tmp", "t.checkpoint.json.bak", "mine.tmp", "t.checkpoint.json.x.tmp"];
    for (const name of [...left, ...kept]) {
      await writeFile(
        join(folder, name),
        name.includes(".lock.") ? holder({ pid: deadPid(), pids: await here() }) : "{",
      );
    }
    const longAgo = new Date(Date.now() - 48 * 3_600_000);
    await utimes(join(folder, "old.checkpoint.json.4711-1.tmp"), longAgo, longAgo);
    await utimes(join(folder, "mine.tmp"), longAgo, longAgo);
    await (await new FileCheckpointStore(folder).lock("t"))();
    expect(readdirSync(folder).sort()).toEqual(kept.sort());
  });

  it("that cannot be taken says so with a typed error", async () => {
    const store = new FileCheckpointStore(await newFolder());
    await mkdir(join(store.folder, "t.checkpoint.json.lock"));
    expect(await fails(store.lock("t"))).toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringMatching(/could not be locked: EISDIR/),
    });
  });

  it("is given back when the transfer ends, well or not", async () => {
    const folder = await newFolder();
    const failing = new ScriptedStore([], {
      write: () => {
        throw new Error("no");
      },
    });
    await transfer(new ScriptedStore(records(2)), failing, { transferId: "t", checkpoint: folder }).catch(() => {});
    await transfer(new ScriptedStore(records(2)), new ScriptedStore(), { transferId: "t", checkpoint: folder });
    expect(readdirSync(folder)).toEqual(["t.checkpoint.json"]);
    await link(join(folder, "t.checkpoint.json"), join(folder, "copy"));
  });
});

describe("a checkpoint that is too large", () => {
  it("is refused without reading it, and never written", async () => {
    const folder = await newFolder();
    const store = new FileCheckpointStore(folder);
    await store.save(checkpoint);
    const huge = { ...checkpoint, cursor: "x".repeat(64 * 1024 * 1024) };
    expect((await fails(store.save(huge))).message).toMatch(/67108864 is the most/);
    expect(await store.load("t")).toEqual(checkpoint);
    await truncate(join(folder, "t.checkpoint.json"), 64 * 1024 * 1024 + 1);
    const error = await fails(store.load("t"));
    expect(error).toMatchObject({ code: "CHECKPOINT_INVALID" });
    expect(error.message).toMatch(/67108865 bytes; 67108864 is the most/);
  });
});
