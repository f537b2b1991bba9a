import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { cached, fingerprint } from "../src/native-cache.ts";

let cache: string;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "omni-p2p-cache-test-"));
  vi.stubEnv("P2P_TEST_CACHE", cache);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

it("builds once when several ask at the same time, and never shows half of a folder", async () => {
  const build = vi.fn(async (folder: string) => {
    await writeFile(join(folder, "one"), "1");
    await sleep(300);
    await writeFile(join(folder, "two"), "2");
  });
  const folders = await Promise.all([1, 2, 3].map(() => cached("thing", "k", build)));
  expect(build).toHaveBeenCalledTimes(1);
  expect(new Set(folders)).toEqual(new Set([join(cache, "thing-k")]));
  expect(await readdir(join(cache, "thing-k"))).toEqual(["one", "two"]);
  expect(await readdir(cache)).toEqual(["thing-k"]);
});

it("leaves nothing behind when a build fails, so that the next one starts anew", async () => {
  const failing = cached("thing", "k", async (folder) => {
    await writeFile(join(folder, "one"), "1");
    throw new Error("no network");
  });
  await expect(failing).rejects.toThrow("no network");
  expect(await readdir(cache)).toEqual([]);
  await cached("thing", "k", (folder) => writeFile(join(folder, "one"), "again"));
  expect(await readFile(join(cache, "thing-k", "one"), "utf8")).toBe("again");
});

it("takes over from a builder that died", async () => {
  // No process has this id: the kernel's largest is smaller.
  await writeFile(join(cache, "thing-k.lock"), "2147483646");
  await cached("thing", "k", (folder) => writeFile(join(folder, "one"), "1"));
  expect(await readdir(cache)).toEqual(["thing-k"]);
});

it("takes over from a builder whose heart stopped, whatever process has its id now", async () => {
  const lock = join(cache, "thing-k.lock");
  await writeFile(lock, String(process.pid));
  const longAgo = new Date(Date.now() - 3_600_000);
  await utimes(lock, longAgo, longAgo);
  await cached("thing", "k", (folder) => writeFile(join(folder, "one"), "1"));
  expect(await readdir(cache)).toEqual(["thing-k"]);
});

it("gives a folder another fingerprint when a name, a text or a file in it changes", async () => {
  await writeFile(join(cache, "a"), "1");
  const first = await fingerprint(cache, "text");
  expect(await fingerprint(cache, "text")).toBe(first);
  expect(await fingerprint(cache, "other")).not.toBe(first);
  await writeFile(join(cache, "a"), "2");
  const second = await fingerprint(cache, "text");
  expect(second).not.toBe(first);
  await writeFile(join(cache, "b"), "");
  expect(await fingerprint(cache, "text")).not.toBe(second);
});
