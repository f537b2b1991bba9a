import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { DefaultP2PConnectionManager, MemoryCheckpointStore, type TransferOptions } from "@omni/p2p-core";
import { isP2PError, parseEndpoint } from "@omni/p2p-core/starter";
import { describe, expect, it } from "vitest";
import { ndjson } from "../src/formats/ndjson.ts";
import { fileStarter } from "../src/index.ts";
import { inputOf, optionsOf, write } from "./formats.ts";
import { calm, fileWith, read, temporaryFolder, transfer } from "./support.ts";

const lines = (count: number): string =>
  Array.from({ length: count }, (_, i) => `{"id":${i},"text":"record ${i}"}\n`).join("");

const text = (path: string): string => readFileSync(path, "utf8");

/** Has a transfer stop early, and gives the options by which another one goes on. */
async function stoppedAfter(count: number, from: string, to: string, more: TransferOptions): Promise<TransferOptions> {
  const options = { ...more, transferId: "t", checkpoint: new MemoryCheckpointStore() };
  const controller = new AbortController();
  const onProgress = ({ records }: { records: number }) => {
    if (records >= count) controller.abort(new Error("enough"));
  };
  const stopped = { ...options, onProgress, progressInterval: 1, signal: controller.signal };
  await expect(transfer(from, to, stopped)).rejects.toThrow("was cancelled");
  return options;
}

describe("a target that is there already", () => {
  it("is refused, and nothing of it is touched", async () => {
    const [from, to] = [fileWith(lines(5)), fileWith("precious")];
    await expect(transfer(`file:${from}`, `file:${to}?format=ndjson`)).rejects.toMatchObject({
      code: "TARGET_EXISTS",
      message: expect.stringContaining("ifExists=replace"),
    });
    expect(text(to)).toBe("precious");
    expect(readdirSync(dirname(to))).toEqual(["in.ndjson"]);
  });

  it("is replaced when it is said so, and only once all is written", async () => {
    const [from, to] = [fileWith(lines(5)), fileWith("old")];
    let during = "";
    const onProgress = () => {
      during ||= text(to);
    };
    await transfer(`file:${from}`, `file:${to}?ifExists=replace`, { batchSize: 1, onProgress, progressInterval: 1 });
    expect(text(to)).toBe(lines(5));
    expect(during).not.toBe(lines(5).slice(0, -1));
  });

  it.each([
    ["a.ndjson", '{"id":"x"}', '{"id":"x"}\n{"id":0,"text":"record 0"}\n'],
    ["a.json", "[]", '[\n{"id":0,"text":"record 0"}\n]\n'],
    ["a.json", '[{"id":"x"}\n ]\n', '[{"id":"x"},\n{"id":0,"text":"record 0"}\n]\n'],
    ["a.json", "", '[\n{"id":0,"text":"record 0"}\n]\n'],
  ])("is appended to: %s with %j", async (name, old, wanted) => {
    const to = fileWith(old, name);
    await transfer(`file:${fileWith(lines(1))}`, `file:${to}?ifExists=append`);
    expect(text(to)).toBe(wanted);
  });

  it("is appended to on a line of its own also where none of the first records could be written", async () => {
    const begun = await ndjson.writer!({
      label: "x",
      options: optionsOf(),
      appendTo: inputOf(Buffer.from('{"id":1}')),
    });
    const { bytes } = await write(ndjson, [{ id: 2 }], {}, { state: begun.state });
    expect(bytes.toString()).toBe('\n{"id":2}\n');
    await begun.encode([{ id: 2 }]);
    expect((await write(ndjson, [{ id: 3 }], {}, { state: begun.state })).bytes.toString()).toBe('{"id":3}\n');
  });

  it("is appended to in a member of its own where it is compressed", async () => {
    const to = fileWith(gzipSync('{"id":"x"}\n'), "a.ndjson.gz");
    await transfer(`file:${fileWith(lines(2))}`, `file:${to}?ifExists=append`);
    expect((await read(`file:${to}`)).records.map(({ id }) => id)).toEqual(["x", 0, 1]);
  });

  it.each([
    ["a.ndjson", gzipSync],
    ["a.ndjson", zstdCompressSync],
    ["a.ndjson.gz", zstdCompressSync],
    ["a.ndjson.zst", (text: string) => Buffer.from(text)],
  ])("is appended to by what it is compressed with, whatever its name, also when resumed: %s", async (name, make) => {
    const old = make('{"id":"x"}\n');
    const from = `file:${fileWith(lines(60))}`;
    const ids = ["x", ...Array.from({ length: 60 }, (_, i) => i)];
    const to = fileWith(old, name);
    await transfer(from, `file:${to}?ifExists=append`, { batchSize: 20 });
    expect(readFileSync(to).subarray(0, old.length).equals(old)).toBe(true);
    expect((await read(`file:${to}`)).records.map(({ id }) => id)).toEqual(ids);
    const second = fileWith(old, name);
    const options = await stoppedAfter(20, from, `file:${second}?ifExists=append`, { batchSize: 20 });
    await transfer(from, `file:${second}?ifExists=append`, { ...options, resume: true });
    expect((await read(`file:${second}`)).records.map(({ id }) => id)).toEqual(ids);
  });

  it("is not appended to with a compression that it does not have", async () => {
    const to = fileWith(gzipSync('{"id":"x"}\n'), "a.ndjson");
    const before = readFileSync(to);
    const from = `file:${fileWith(lines(1))}`;
    for (const compression of ["none", "zstd"]) {
      await expect(transfer(from, `file:${to}?ifExists=append&compression=${compression}`)).rejects.toMatchObject({
        code: "UNSUPPORTED_OPERATION",
        message: expect.stringContaining("has compression gzip"),
      });
    }
    await transfer(from, `file:${to}?ifExists=append&compression=gzip`);
    expect(readFileSync(to).subarray(0, before.length).equals(before)).toBe(true);
    expect((await read(`file:${to}`)).records).toHaveLength(2);
  });

  it("that a pattern takes in is not copied into itself", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "a.ndjson"), lines(2));
    writeFileSync(join(folder, "b.ndjson"), lines(2));
    const to = `file:${folder}/all.ndjson?ifExists=append`;
    await transfer(`file:${folder}/*.ndjson`, to);
    expect(text(join(folder, "all.ndjson"))).toBe(lines(2).repeat(2));
    mkdirSync(join(folder, "links"));
    linkSync(join(folder, "all.ndjson"), join(folder, "links", "hard.ndjson"));
    symlinkSync("../all.ndjson", join(folder, "links", "soft.ndjson"));
    for (const target of [
      to,
      `file:${folder}/links/hard.ndjson?ifExists=replace`,
      `file:${folder}/links/soft.ndjson`,
    ]) {
      const error = await transfer(`file:${folder}/*.ndjson`, target).catch((thrown: unknown) => thrown);
      expect(isP2PError(error, "SAME_STORE"), `${target}: ${error}`).toBe(true);
    }
    expect(text(join(folder, "all.ndjson"))).toBe(lines(2).repeat(2));
    await transfer(`file:${folder}/[ab].ndjson`, to);
    expect((await read(`file:${folder}/all.ndjson`)).records.map(({ id }) => id)).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
  });

  it("that is no such array, or compressed, is not appended to", async () => {
    const from = `file:${fileWith(lines(1))}`;
    await expect(transfer(from, `file:${fileWith("{}", "a.json")}?ifExists=append`)).rejects.toThrow(/does not end as/);
    await expect(transfer(from, `file:${fileWith(gzipSync("[]"), "a.json.gz")}?ifExists=append`)).rejects.toThrow(
      /take NDJSON/,
    );
  });
});

it.each(["a.ndjson", "a.ndjson.gz", "a.json", "a.json.zst", "a.csv"])(
  "a source without records makes an empty %s",
  async (name) => {
    const to = join(temporaryFolder(), name);
    await transfer(`file:${fileWith("")}`, `file:${to}`);
    expect(existsSync(to)).toBe(true);
    expect((await read(`file:${to}`)).records).toEqual([]);
  },
);

it("a link stays a link, also one to nothing yet, and keeps the rights of what it leads to", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "real.ndjson"), "", { mode: 0o640 });
  symlinkSync("real.ndjson", join(folder, "link.ndjson"));
  symlinkSync("new.ndjson", join(folder, "dangling.ndjson"));
  const from = `file:${fileWith(lines(2))}`;
  await transfer(from, `file:${folder}/link.ndjson?ifExists=replace`);
  await transfer(from, `file:${folder}/dangling.ndjson`);
  expect(lstatSync(join(folder, "link.ndjson")).isSymbolicLink()).toBe(true);
  expect(lstatSync(join(folder, "dangling.ndjson")).isSymbolicLink()).toBe(true);
  expect(lstatSync(join(folder, "real.ndjson")).mode & 0o777).toBe(0o640);
  expect([text(join(folder, "real.ndjson")), text(join(folder, "new.ndjson"))]).toEqual([lines(2), lines(2)]);
});

it("a target that cannot be is told with the way out, before anything is read", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "sub.ndjson"));
  const from = `file:${fileWith(lines(2))}`;
  for (const [target, code, message] of [
    [`${folder}/sub.ndjson`, "TARGET_NOT_WRITABLE", /is a folder/],
    [`${folder}/no/such.ndjson`, "TARGET_NOT_WRITABLE", /folder does not exist/],
    [`${folder}/*.ndjson`, "INVALID_ENDPOINT", /pattern/],
    [`${folder}/x.txt`, "INVALID_ENDPOINT", /\?format=/],
    ["-", "INVALID_ENDPOINT", /pipe.*\?format=/],
  ] as const) {
    const error = await transfer(from, `file:${target}`).catch((thrown: unknown) => thrown);
    expect(isP2PError(error, code), `${target}: ${error}`).toBe(true);
    expect((error as Error).message).toMatch(message);
  }
});

it("a full disk ends the transfer as such, and leaves nothing behind", async () => {
  const error = await transfer(`file:${fileWith(lines(50))}`, "file:/dev/full?format=ndjson").catch((thrown) => thrown);
  expect(isP2PError(error, "STORAGE_FULL"), String(error)).toBe(true);
});

it("a transfer that fails leaves no unfinished file where it cannot be resumed", async () => {
  const to = join(temporaryFolder(), "out.ndjson");
  await expect(
    transfer(`file:${fileWith(`${lines(500)}nope\n`)}`, `file:${to}`, { batchSize: 10, maxFailures: 0 } as never),
  ).rejects.toMatchObject({ code: "TOO_MANY_FAILURES" });
  expect(readdirSync(dirname(to))).toEqual([]);
});

it("which ids are there is not known: mode skip is refused, and look-ups and deletes are not offered", async () => {
  const from = `file:${fileWith(lines(2))}`;
  const to = join(temporaryFolder(), "out.ndjson");
  await expect(transfer(from, `file:${to}`, { mode: "skip" } as never)).rejects.toThrow(
    /mode "skip" cannot be had.*upsert/,
  );
  const target = await fileStarter.open(parseEndpoint(`file:${to}`), {
    role: "target",
    signal: calm(),
    connectTimeoutMs: 1000,
  });
  expect(target.capabilities).toMatchObject({ lookUp: false, deletes: false, changes: false, writeConcurrency: 1 });
});

it("a key of the target's own names the field that holds the id", async () => {
  const folder = temporaryFolder();
  await transfer(`file:${fileWith('{"id":1,"x":2}\n')}`, `file:${folder}/a.ndjson?key=_id`);
  expect(text(join(folder, "a.ndjson"))).toBe('{"_id":1,"x":2}\n');
  await transfer(`file:${folder}/a.ndjson`, `file:${folder}/b.ndjson`);
  expect(text(join(folder, "b.ndjson"))).toBe('{"id":1,"x":2}\n');
});

describe("a resume that is refused", () => {
  it("keeps what is unfinished, and another one goes on", async () => {
    const to = join(temporaryFolder(), "out.ndjson");
    const from = `file:${fileWith(lines(300))}`;
    const options = await stoppedAfter(40, from, `file:${to}`, { batchSize: 7 });
    const unfinished = () => readdirSync(dirname(to)).filter((name) => name.startsWith("."));
    expect(unfinished()).toHaveLength(1);
    writeFileSync(to, "in the way");
    await expect(transfer(from, `file:${to}`, { ...options, resume: true })).rejects.toMatchObject({
      code: "TARGET_EXISTS",
    });
    expect([unfinished().length, text(to)]).toEqual([1, "in the way"]);
    rmSync(to);
    await transfer(from, `file:${to}`, { ...options, resume: true });
    expect([unfinished().length, text(to)]).toEqual([0, lines(300)]);
  });

  it.each(["", "?ifExists=replace", "?ifExists=append"])(
    "leaves a target its name that was made when the run was killed, before the checkpoint said so: %s",
    async (more) => {
      const folder = temporaryFolder();
      const [from, to] = [`file:${fileWith(lines(300))}`, join(folder, "out.ndjson")];
      const options = await stoppedAfter(40, from, `file:${to}${more}`, { batchSize: 7 });
      await transfer(from, `file:${to}${more}`, { ...options, resume: true });
      const { checkpoint } = options as { checkpoint: MemoryCheckpointStore };
      await checkpoint.save({ ...(await checkpoint.load("t"))!, status: "running" });
      truncateSync(to, 1000);
      const cut = text(to);
      await expect(transfer(from, `file:${to}${more}`, { ...options, resume: true })).rejects.toMatchObject({
        code: "CHECKPOINT_MISMATCH",
        message: expect.stringContaining("shorter than it was"),
      });
      expect([readdirSync(folder), text(to)]).toEqual([["out.ndjson"], cut]);
      writeFileSync(to, lines(300));
      await transfer(from, `file:${to}${more}`, { ...options, resume: true });
      expect([readdirSync(folder), text(to)]).toEqual([["out.ndjson"], lines(300)]);
    },
  );
});

it("what was written to a device is not read back, and not gone on with", async () => {
  const [from, to] = [`file:${fileWith(lines(300))}`, "file:/dev/null?format=ndjson"];
  const options = await stoppedAfter(40, from, to, { batchSize: 7 });
  await expect(transfer(from, to, { ...options, resume: true })).rejects.toMatchObject({ code: "CHECKPOINT_MISMATCH" });
  await using manager = new DefaultP2PConnectionManager();
  manager.registerService("file", fileStarter);
  const connection = await manager.establish(from, to);
  await connection.transfer({}, { deadLetters: false });
  await expect(connection.verify({})).rejects.toMatchObject({ code: "UNSUPPORTED_OPERATION" });
});

describe.each(["out.ndjson", "out.ndjson.gz", "out.json", "out.csv", "out.parquet"])("law 4, resume: %s", (name) => {
  it("stopped anywhere and resumed, it is what an undisturbed run makes, byte by byte", async () => {
    const folder = temporaryFolder();
    const from = `file:${fileWith(lines(300))}`;
    await transfer(from, `file:${folder}/whole-${name}`);
    const plain = (path: string) => (name.endsWith(".gz") ? gunzipSync(readFileSync(path)) : readFileSync(path));
    for (const stop of [1, 40, 299]) {
      const path = `${folder}/${stop}-${name}`;
      const options = { batchSize: 7, transferId: "t", checkpoint: new MemoryCheckpointStore() };
      const controller = new AbortController();
      const onProgress = ({ records }: { records: number }) => {
        if (records >= stop) controller.abort(new Error("enough"));
      };
      await transfer(from, `file:${path}`, {
        ...options,
        onProgress,
        progressInterval: 1,
        signal: controller.signal,
      }).catch(() => {});
      await transfer(from, `file:${path}`, { ...options, resume: true });
      expect(plain(path).equals(plain(`${folder}/whole-${name}`)), `stopped after ${stop}`).toBe(true);
      // What is completed is not begun again.
      await transfer(from, `file:${path}`, { ...options, resume: true });
    }
    expect(readdirSync(folder).filter((file) => file.startsWith("."))).toEqual([]);
  });
});
