import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeWithService } from "@omni/p2p-test-services/suite";
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import { afterAll, expect, it } from "vitest";

describeWithService("redis", "a cache of a SQLite table", ({ url: server }) => {
  const folder = mkdtempSync(join(tmpdir(), "omni-p2p-cache-"));
  const prefix = `member-${process.pid}:`;
  const redis = new Redis(server);
  afterAll(async () => {
    await redis.del(...(await redis.keys(`${prefix}*`)));
    redis.disconnect();
    rmSync(folder, { recursive: true, force: true });
  });

  async function run(): Promise<string> {
    const main = join(import.meta.dirname, "..", "src", "main.ts");
    const env = { ...process.env, REDIS_URL: server, PREFIX: prefix };
    return (await promisify(execFile)(process.execPath, [main], { env, cwd: folder })).stdout;
  }

  it("changes with its rows, and forgets those that are gone", async () => {
    expect(await run()).toBe(
      "200 members were brought into the cache\n7: 7@old.example, 9: 9@old.example\n7: 7@new.example, 9: undefined\n",
    );
    expect(await redis.keys(`${prefix}*`)).toHaveLength(199);
  });

  it("goes on from where it was, with what has changed meanwhile", async () => {
    const database = new Database(join(folder, "data", "members.db"));
    database.exec("UPDATE members SET mail = '11@new.example' WHERE id = 11");
    database.close();
    // Nothing is copied again.
    expect(await run()).toMatch(/^[01] members were brought/);
    expect(await redis.get(`${prefix}11`)).toContain("11@new.example");
  });
});
