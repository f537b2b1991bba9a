import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { DefaultP2PConnectionManager, P2PTransferError } from "@omni/p2p-core";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, expect, it } from "vitest";
import { writeKnowledgeBase } from "../src/knowledge-base.ts";

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
    expect(output).toMatch(/^20000 records in 4 parts, in \d+ ms$/m);
    expect(output).toContain("Source and target agree");
    await using redis = await connected(url);
    expect(await redis.client.get(`${prefix}20000`)).toContain('"title":"Title 20000"');
  });

  it("does nothing for a transfer that is done", async () => {
    expect(await run()).toMatch(/^20000 records in 4 parts, 20000 of them before/m);
  });

  it("goes on where its parts were stopped", async () => {
    const source = `sqlite:${join(folder, "stopped.db")}?table=docs`;
    writeKnowledgeBase(join(folder, "stopped.db"), 5000);
    const slow = target.replace(prefix, `stopped-${prefix}`);
    const state = join(folder, "state");
    const query = { type: "knowledge" };
    const config = { batchSize: 50, partitions: 2 };
    const options = { transferId: "stopped", resume: true, checkpoint: state } as const;
    await using manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname, config });
    const { connectionId } = await manager.establish(source, slow);
    const stop = new AbortController();
    const onProgress = () => stop.abort();
    const stopped: unknown = await manager
      .transferThroughConnection(connectionId, query, {
        ...{ ...options, onProgress, progressInterval: 0, signal: stop.signal },
      })
      .catch((error: unknown) => error);
    expect(stopped).toBeInstanceOf(P2PTransferError);
    expect(readdirSync(state)).toContain("stopped.part-1.checkpoint.json");
    const result = await manager.transferThroughConnection(connectionId, query, options);
    expect(result).toMatchObject({ successCount: 2500, partitions: 2 });
    expect(result.resumed?.successCount).toBeGreaterThan(0);
  });
});

async function connected(url: string): Promise<{ client: Redis } & AsyncDisposable> {
  const client = new Redis(url, { lazyConnect: true });
  await client.connect();
  return { client, [Symbol.asyncDispose]: async () => void client.disconnect() };
}
