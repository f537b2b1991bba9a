import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { DefaultP2PConnectionManager, isP2PError } from "@omni/p2p-core";
import { sqliteStarter } from "@omni/p2p-starter-sqlite";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, expect, it } from "vitest";
import { writeKnowledgeBase } from "../src/knowledge-base.ts";
import { partsOf } from "../src/parts.ts";
import { transferInParts } from "../src/transfer-in-parts.ts";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-parts-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describeWithService("redis", "partitions side by side", ({ url }) => {
  const prefix = `parts-${process.pid}:`;
  const target = `${url.replace(/\/\d*$/, "")}/0?prefix=${prefix}`;

  async function run(): Promise<string> {
    const main = join(import.meta.dirname, "..", "src", "main.ts");
    const { stdout } = await promisify(execFile)(process.execPath, [main], {
      cwd: folder,
      env: { ...process.env, REDIS_URL: target },
    });
    return stdout;
  }

  it("moves every record once, in four parts", async () => {
    const output = await run();
    const parts = [...output.matchAll(/^Part \d: (\d+) records$/gm)].map(([, count]) => Number(count));
    expect(parts).toHaveLength(4);
    expect(parts.every((count) => count > 1000)).toBe(true);
    expect(output).toContain("20000 records in ");
    expect(output).toContain("Source and target agree");
    await using redis = await connected(url);
    expect(await redis.client.get(`${prefix}20000`)).toContain('"title":"Title 20000"');
  });

  it("does nothing for parts that are done", async () => {
    expect(await run()).toMatch(/^Part 0: (\d+) records, \1 of them before$/m);
  });

  it("goes on where a part was stopped", async () => {
    const source = `sqlite:${join(folder, "stopped.db")}?table=docs`;
    writeKnowledgeBase(join(folder, "stopped.db"), 5000);
    const parts = await partsOf(sqliteStarter, source, { type: "knowledge" }, 2);
    const slow = `${target.replace(prefix, `stopped-${prefix}`)}`;
    process.chdir(folder);
    {
      await using manager = new DefaultP2PConnectionManager({
        appRoot: import.meta.dirname,
        config: { batchSize: 50 },
      });
      manager.events.on("statusChanged", ({ to, connection }) => {
        if (to === "TRANSFERRING") setTimeout(() => void connection.close(), 20);
      });
      const outcome = await transferInParts(manager, source, slow, "stopped", parts).catch((error: unknown) => error);
      expect(Array.isArray(outcome) || isP2PError(outcome, "ABORTED")).toBe(true);
    }
    await using manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname, config: { batchSize: 50 } });
    const results = await transferInParts(manager, source, slow, "stopped", parts);
    expect(results.reduce((sum, { successCount }) => sum + successCount, 0)).toBe(2500);
    expect(readdirSync(join(folder, ".omni-p2p"))).toContain("stopped-0.checkpoint.json");
  });
});

async function connected(url: string): Promise<{ client: Redis } & AsyncDisposable> {
  const client = new Redis(url, { lazyConnect: true });
  await client.connect();
  return { client, [Symbol.asyncDispose]: async () => void client.disconnect() };
}
