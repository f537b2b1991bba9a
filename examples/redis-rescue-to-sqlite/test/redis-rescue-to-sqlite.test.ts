import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeWithService } from "@omni/p2p-test-services/suite";
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-rescue-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describeWithService("redis", "rescue of a Redis", ({ url }) => {
  const prefix = `rescue-${process.pid}:`;
  const key = (name: string) => prefix + name;
  let redis: Redis;

  beforeAll(async () => {
    redis = new Redis(url);
    await redis.set(key("text"), "hello", "EX", 3600);
    await redis.set(key("json"), '{"title":"A","n":1}');
    await redis.hset(key("hash"), { title: "B", stock: "3" });
    await redis.rpush(key("list"), "a", "b", "a");
    await redis.sadd(key("set"), "x", "y");
    await redis.zadd(key("scores"), 1.5, "low", 20, "high");
    await redis.xadd(key("stream"), "*", "event", "login");
  });
  afterAll(async () => {
    const left = await redis.keys(`${prefix}*`);
    if (left.length > 0) await redis.del(...left);
    redis.disconnect();
  });

  async function run(command: string): Promise<string> {
    const main = join(import.meta.dirname, "..", "src", "main.ts");
    const env = { ...process.env, REDIS_URL: `${url.replace(/\/\d*$/, "")}/0?prefix=${prefix}` };
    return (await promisify(execFile)(process.execPath, [main, command, "data/rescue.db"], { cwd: folder, env }))
      .stdout;
  }

  it("saves keys of every type", async () => {
    expect(await run("rescue")).toBe("7 keys saved, 0 failed\n7 keys readable, 0 failed\n");
    const database = new Database(join(folder, "data", "rescue.db"), { readonly: true });
    expect(database.prepare("SELECT title, stock FROM readable WHERE id = 'hash'").get()).toEqual({
      title: "B",
      stock: "3",
    });
    expect(database.prepare("SELECT count(*) AS n FROM dumps WHERE expires IS NOT NULL").get()).toEqual({ n: 1 });
    database.close();
  });

  it("brings them back as they were, with their time to live", async () => {
    const names = ["text", "json", "hash", "list", "set", "scores", "stream"].map(key);
    // A set has no order, so the dump of an equal one may differ.
    const dumps = () =>
      Promise.all(names.filter((name) => !name.endsWith(":set")).map((name) => redis.dumpBuffer(name)));
    const before = await dumps();
    await redis.del(...names);
    expect(await run("restore")).toBe("7 keys restored, 0 had expired, 0 failed\n");
    expect(await dumps()).toEqual(before);
    expect((await redis.smembers(key("set"))).sort()).toEqual(["x", "y"]);
    expect(await redis.ttl(key("text"))).toBeGreaterThan(3400);
    expect(await redis.ttl(key("list"))).toBe(-1);
  });

  it("says what it can do", async () => {
    await expect(run("help")).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining("rescue|restore") });
  });
});
