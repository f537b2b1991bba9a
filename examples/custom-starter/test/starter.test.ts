import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { memoryStore } from "@omni/p2p-starter-memory";
import { afterAll, beforeAll, expect, test } from "vitest";
import { jsonFilesStarter } from "../src/index.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "custom-starter-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("the example runs", async () => {
  const main = join(import.meta.dirname, "..", "src", "main.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [main], { cwd: folder });
  expect(stdout).toBe("100 records are files in ./data/docs now\nEqual to what they were: true; 100 came back\n");
});

test("records are files that people can read", async () => {
  memoryStore("one").put({ id: "a", title: "First", at: new Date(0) });
  await using manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
  manager.registerService("json-files", jsonFilesStarter);
  const { connectionId } = await manager.establish("memory:one", `json-files:${folder}/one`);
  await manager.transferThroughConnection(connectionId, {});
  const [file] = await readdir(join(folder, "one"), { recursive: true }).then((all) =>
    all.filter((name) => name.endsWith(".json")),
  );
  expect(await readFile(join(folder, "one", file!), "utf8")).toBe(
    '{"id":"a","title":"First","at":{"$p2p":"date","value":"1970-01-01T00:00:00.000Z"}}',
  );
  expect(await readdir(join(folder, "one"), { recursive: true })).toHaveLength(2);
});

test("a file that holds no record is a failure with its name, and the rest is read", async () => {
  memoryStore("two").put({ id: 1 });
  memoryStore("two").put({ id: 2 });
  await using manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
  manager.registerService("json-files", jsonFilesStarter);
  const there = await manager.establish("memory:two", `json-files:${folder}/two`);
  await manager.transferThroughConnection(there.connectionId, {});
  const files = await readdir(join(folder, "two"), { recursive: true });
  const spoilt = files.find((name) => name.endsWith(".json"))!;
  await writeFile(join(folder, "two", spoilt), '{"id": 1');
  const back = await manager.establish(`json-files:${folder}/two`, "memory:two-again");
  const result = await manager.transferThroughConnection(back.connectionId, {}, { deadLetters: false });
  expect(result).toMatchObject({ successCount: 1, failureCount: 1 });
  expect(result.errors[0]).toMatchObject({ phase: "read", code: "READ_FAILED" });
  expect(result.errors[0]!.reason).toContain(spoilt);
});
