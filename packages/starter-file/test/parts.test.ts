import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MemoryCheckpointStore } from "@omni/p2p-core";
import { parseEndpoint } from "@omni/p2p-core/starter";
import { describe, expect, it } from "vitest";
import { fileStarter } from "../src/index.ts";
import { calm, fileWith, openSource, read, temporaryFolder, transfer } from "./support.ts";

const COUNT = 900;
const lines = Array.from({ length: COUNT }, (_, i) => `{"id":${i},"text":"record ${i}"}\n`).join("");
const ids = Array.from({ length: COUNT }, (_, i) => i);

/** A dump in parts of about 1 KiB; gives its folder and its URL without options. */
async function dump(name = "dump.ndjson", options = ""): Promise<{ folder: string; url: string }> {
  const folder = temporaryFolder();
  const url = `file:${folder}/${name}`;
  await transfer(`file:${fileWith(lines)}`, `${url}?partSize=1024${options}`, { batchSize: 50 });
  return { folder, url };
}

describe.each(["dump.ndjson", "dump.ndjson.gz", "dump.json", "dump.csv.zst"])("a dump in parts: %s", (name) => {
  it("is read as a whole by its own name and its manifest's, each record once and in order", async () => {
    const { folder, url } = await dump(name);
    const names = readdirSync(folder).sort();
    expect(names.at(-1)).toBe("dump.manifest.json");
    expect(names[0]).toBe(name.replace("dump", "dump-00001"));
    expect(names.length).toBeGreaterThan(2);
    for (const whole of [
      url,
      `file:${folder}/dump.manifest.json`,
      `file:${folder}/${name.replace("dump", "dump-*")}`,
    ]) {
      expect((await read(whole)).records.map(({ id }) => id)).toEqual(ids);
    }
    const source = await openSource(url);
    expect(await source.count({}, calm())).toBe(COUNT);
    const parts = await source.partitions({}, 3, calm());
    expect(parts).toHaveLength(Math.min(3, name.endsWith("ndjson") ? 3 : names.length - 1));
  });

  it("law 4, resume: stopped anywhere and resumed, its parts are those of an undisturbed run", async () => {
    const whole = await dump(name);
    const from = `file:${fileWith(lines)}`;
    for (const stop of [1, 300, 899]) {
      const folder = temporaryFolder();
      const target = `file:${folder}/${name}?partSize=1024`;
      const options = { batchSize: 50, transferId: "t", checkpoint: new MemoryCheckpointStore() };
      const controller = new AbortController();
      const onProgress = ({ records }: { records: number }) => {
        if (records >= stop) controller.abort(new Error("enough"));
      };
      await transfer(from, target, { ...options, onProgress, progressInterval: 1, signal: controller.signal }).catch(
        () => {},
      );
      await transfer(from, target, { ...options, resume: true });
      expect(readdirSync(folder)).toEqual(readdirSync(whole.folder));
      for (const file of readdirSync(folder)) {
        expect(readFileSync(join(folder, file)).equals(readFileSync(join(whole.folder, file))), `${stop} ${file}`).toBe(
          true,
        );
      }
      await transfer(from, target, { ...options, resume: true });
    }
  });
});

describe("a dump that does not fit its manifest", () => {
  it.each([
    [
      "a part is missing",
      (folder: string) => rmSync(join(folder, "dump-00002.ndjson")),
      /dump-00002\.ndjson is not there/,
    ],
    [
      "a part is longer",
      (folder: string) => appendFileSync(join(folder, "dump-00001.ndjson"), "\n"),
      /bytes instead of/,
    ],
    [
      "a part is altered",
      (folder: string) => {
        const part = join(folder, "dump-00002.ndjson");
        writeFileSync(part, readFileSync(part, "utf8").replace("record", "rocerd"));
      },
      /digest of its part dump-00002/,
    ],
    ["it is of another version", (folder: string) => alter(folder, '"version": 1', '"version": 2'), /has version 2/],
    [
      "it leads elsewhere",
      (folder: string) => alter(folder, "dump-00001.ndjson", "../dump-00001.ndjson"),
      /no manifest/,
    ],
    ["its counts do not add up", (folder: string) => alter(folder, `"records": ${COUNT}`, '"records": 7'), /add up/],
    [
      "it is torn",
      (folder: string) => writeFileSync(join(folder, "dump.manifest.json"), '{"version": 1, "pa'),
      /no JSON/,
    ],
  ])("%s", async (_, harm, message) => {
    const { folder, url } = await dump();
    harm(folder);
    await expect(read(url)).rejects.toMatchObject({
      code: "MANIFEST_MISMATCH",
      message: expect.stringMatching(message),
    });
  });

  function alter(folder: string, old: string, now: string): void {
    const manifest = join(folder, "dump.manifest.json");
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace(old, now));
  }
});

it("a dump that is there is refused, or replaced with the parts that it had more", async () => {
  const { folder, url } = await dump();
  const few = `file:${fileWith('{"id":1}\n')}`;
  await expect(transfer(few, `${url}?partSize=1024`)).rejects.toMatchObject({ code: "TARGET_EXISTS" });
  await transfer(few, `${url}?partSize=1024&ifExists=replace`);
  expect(readdirSync(folder)).toEqual(["dump-00001.ndjson", "dump.manifest.json"]);
  await expect(transfer(few, `${url}?partSize=1024&ifExists=append`)).rejects.toThrow(
    /Nothing is appended to the parts/,
  );
});

it("a dump does not take the place of another that has the same manifest's name, nor of what is no manifest", async () => {
  const { folder } = await dump();
  const few = `file:${fileWith('{"id":1}\n')}`;
  const before = readdirSync(folder);
  for (const other of ["dump.csv", "dump.ndjson.gz"]) {
    await expect(transfer(few, `file:${folder}/${other}?partSize=1024&ifExists=replace`)).rejects.toMatchObject({
      code: "TARGET_EXISTS",
      message: expect.stringMatching(/that of another dump.*another name/),
    });
  }
  expect(readdirSync(folder)).toEqual(before);
  const precious = { name: "precious.txt", records: 0, bytes: 0, sha256: "0".repeat(64) };
  for (const text of [JSON.stringify({ version: 1, records: 0, parts: [precious] }), "{}", "not JSON"]) {
    const own = temporaryFolder();
    fileWith("precious", "precious.txt", own);
    fileWith(text, "dump.manifest.json", own);
    await expect(transfer(few, `file:${own}/dump.ndjson?partSize=1024&ifExists=replace`)).rejects.toMatchObject({
      code: "TARGET_EXISTS",
    });
    expect(readFileSync(join(own, "dump.manifest.json"), "utf8")).toBe(text);
    expect(readdirSync(own)).toEqual(["dump.manifest.json", "precious.txt"]);
  }
});

it("the manifest of another dump that came while this one was written is left alone", async () => {
  const folder = temporaryFolder();
  const other = JSON.stringify({
    version: 1,
    records: 0,
    parts: [{ name: "dump-00001.csv", records: 0, bytes: 0, sha256: "0".repeat(64) }],
  });
  const onProgress = () => writeFileSync(join(folder, "dump.manifest.json"), other);
  fileWith("", "dump-00001.csv", folder);
  await expect(
    transfer(`file:${fileWith(lines)}`, `file:${folder}/dump.ndjson?partSize=1024&ifExists=replace`, {
      batchSize: 50,
      onProgress,
      progressInterval: 1,
    }),
  ).rejects.toMatchObject({ code: "TARGET_EXISTS" });
  expect(readFileSync(join(folder, "dump.manifest.json"), "utf8")).toBe(other);
  expect(existsSync(join(folder, "dump-00001.csv"))).toBe(true);
});

it("a dump beside one file of its very name, which would be read in its place, is refused", async () => {
  const folder = temporaryFolder();
  fileWith("last month", "dump.ndjson", folder);
  for (const more of ["", "&ifExists=replace"]) {
    await expect(
      transfer(`file:${fileWith(lines)}`, `file:${folder}/dump.ndjson?partSize=1024${more}`),
    ).rejects.toMatchObject({ code: "TARGET_EXISTS", message: expect.stringContaining("is there as one file") });
  }
  expect(readdirSync(folder)).toEqual(["dump.ndjson"]);
});

it("a dump is not copied into itself", async () => {
  const { folder, url } = await dump();
  for (const from of [url, `file:${folder}/*.ndjson`, `file:${folder}/dump-00002.ndjson`]) {
    await expect(transfer(from, `${url}?partSize=1024&ifExists=replace`)).rejects.toMatchObject({ code: "SAME_STORE" });
  }
});

it("a dump stays whole when a part of that which is to take its place is taken away", async () => {
  const { folder, url } = await dump();
  const endpoint = parseEndpoint(`${url}?partSize=1024&ifExists=replace`);
  const target = await fileStarter.open(endpoint, { role: "target", signal: calm(), connectTimeoutMs: 10_000 });
  await target.sequential!.begin({ resumable: false, signal: calm() });
  for (const id of [1, 2, 3]) {
    await target.writeToTarget([{ id, text: "x".repeat(2000) }], { mode: "upsert", signal: calm() });
  }
  rmSync(join(folder, readdirSync(folder).find((name) => name.startsWith(".dump-00002.ndjson"))!));
  await expect(target.sequential!.finish(calm())).rejects.toMatchObject({ code: "STORE_CHANGED" });
  await target.close();
  expect((await read(url)).records.map(({ id }) => id)).toEqual(ids);
});

it("a resume that is refused keeps what is unfinished, and another one goes on", async () => {
  const whole = await dump();
  const folder = temporaryFolder();
  const [from, target] = [`file:${fileWith(lines)}`, `file:${folder}/dump.ndjson?partSize=1024`];
  const options = { batchSize: 50, transferId: "t", checkpoint: new MemoryCheckpointStore() };
  const controller = new AbortController();
  const onProgress = ({ records }: { records: number }) => {
    if (records >= 300) controller.abort(new Error("enough"));
  };
  const stopped = { ...options, onProgress, progressInterval: 1, signal: controller.signal };
  await transfer(from, target, stopped).catch(() => {});
  const count = readdirSync(folder).length;
  const refused = async (code: string) => {
    await expect(transfer(from, target, { ...options, resume: true })).rejects.toMatchObject({ code });
    expect(readdirSync(folder)).toHaveLength(count);
  };
  const current = Math.max(...readdirSync(folder).map((name) => Number(/-(\d{5})\./.exec(name)?.[1] ?? 0)));
  const name = `dump-${String(current).padStart(5, "0")}.ndjson`;
  const moved = join(temporaryFolder(), "away");
  const put = (path: string) => writeFileSync(path, "in the way");
  put(join(folder, name));
  await expect(transfer(from, target, { ...options, resume: true })).rejects.toMatchObject({ code: "TARGET_EXISTS" });
  rmSync(join(folder, name));
  expect(readdirSync(folder)).toHaveLength(count);
  const journal = readdirSync(folder).find((file) => file.startsWith(".dump.manifest.json"))!;
  const text = readFileSync(join(folder, journal));
  writeFileSync(moved, text);
  truncateSync(join(folder, journal), 3);
  await refused("CHECKPOINT_MISMATCH");
  const now = readdirSync(folder).find((file) => file.startsWith(".dump.manifest.json"))!;
  writeFileSync(join(folder, now), readFileSync(moved));
  await transfer(from, target, { ...options, resume: true });
  expect(readdirSync(folder)).toEqual(readdirSync(whole.folder));
});

it("a dump that fails leaves nothing behind where it cannot be resumed", async () => {
  const folder = temporaryFolder();
  const from = `file:${fileWith(`${lines}nope\n`)}`;
  await expect(
    transfer(from, `file:${folder}/dump.ndjson?partSize=1024`, { batchSize: 20, maxFailures: 0 }),
  ).rejects.toMatchObject({ code: "TOO_MANY_FAILURES" });
  expect(readdirSync(folder)).toEqual([]);
  expect(existsSync(join(folder, "dump.manifest.json"))).toBe(false);
});
