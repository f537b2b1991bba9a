import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { MemoryCheckpointStore } from "@omni/p2p-core";
import { isP2PError, parseEndpoint } from "@omni/p2p-core/starter";
import { describe, expect, it } from "vitest";
import { ndjson } from "../src/formats/ndjson.ts";
import { fileStarter } from "../src/index.ts";
import { inputOf, optionsOf, write } from "./formats.ts";
import { calm, fileWith, read, temporaryFolder, transfer } from "./support.ts";

const lines = (count: number): string =>
  Array.from({ length: count }, (_, i) => `{"id":${i},"text":"record ${i}"}\n`).join("");

const text = (path: string): string => readFileSync(path, "utf8");

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
