import { setTimeout as sleep } from "node:timers/promises";
import { P2PError } from "@omni/p2p-core";
import { memoryStarter } from "@omni/p2p-starter-memory";
import { startService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { describe, expect, it, vi } from "vitest";
import { engine, fill, sizeOf } from "./support.ts";

const SLOWLY = { source: "from", target: "slow", config: { batchSize: 10, concurrency: 1 } } as const;

describeWithService("redis", "what goes wrong with workers", ({ url }) => {
  it("a worker without the starter, the endpoint or the transform says so and leaves the job to others", async () => {
    const { worker, transfers, endpoints, source } = engine(url);
    await fill(source, 50);
    const client = transfers();
    const told: string[] = [];
    const poor = worker({ name: "poor", starters: [memoryStarter] });
    poor.events.on("unsuited", ({ error }) => told.push(`${error.code}: ${error.message}`));
    await client.submit({ id: "u", source: "from", target: "slow", transform: "same", partitions: 2 });
    await vi.waitFor(() => expect(told.at(-1)).toMatch(/^SERVICE_NOT_FOUND: .* 'slow'/), 5000);
    expect((await client.status("u")).hint).toMatch(/^poor: .*'slow'/);
    const stranger = worker({ name: "stranger", endpoints: { from: endpoints.from } });
    const names: string[] = [];
    stranger.events.on("unsuited", ({ error }) => names.push(error.message));
    await vi.waitFor(() => expect(names.join()).toContain('no endpoint named "slow"'), 5000);
    const plain = worker({ name: "plain" });
    const lacks: string[] = [];
    plain.events.on("unsuited", ({ error }) => lacks.push(error.message));
    await vi.waitFor(() => expect(lacks.join()).toContain('no transform named "same"'), 10_000);
    worker({ name: "good", transforms: { same: (record) => record } });
    expect(await client.result("u")).toMatchObject({ successCount: 50 });
    const parts = await client.partitions("u");
    expect(parts.every((part) => part.worker === "good")).toBe(true);
    expect((await client.status("u")).hint).toBeUndefined();
  });

  it("a job from a newer version is left to newer workers", async () => {
    const { worker, prefix } = engine(url);
    const redis = new Redis(url, { maxRetriesPerRequest: null });
    const queue = new Queue("transfers", { connection: redis, prefix });
    try {
      const old = worker();
      const told: P2PError[] = [];
      old.events.on("unsuited", ({ error }) => told.push(error));
      const job = await queue.add("part", { v: 2, transfer: "new", part: 0 }, { jobId: "new~part-0" });
      await vi.waitFor(() => expect(told.map(({ code }) => code)).toContain("JOB_TOO_NEW"), 5000);
      expect(told[0]?.message).toContain("upgrade @omni/p2p-engine-bullmq");
      expect(["delayed", "waiting", "active"]).toContain(await job.getState());
      expect((await queue.getJob("new~part-0"))?.attemptsMade).toBe(0);
      await old.close();
    } finally {
      await queue.close();
      redis.disconnect();
    }
  });

  it("a worker that lost its lock goes on with nothing, and each partition is counted once", async () => {
    const { worker, transfers, source, target, prefix } = engine(url);
    await fill(source, 900);
    const lame = worker({ name: "lame", lockDuration: 600, stalledInterval: 200 });
    const ends: string[] = [];
    lame.events.on("partEnded", ({ ended }) => ends.push(ended));
    const client = transfers();
    await client.submit({ id: "z", ...SLOWLY, partitions: 1, grains: 1, verify: "full" });
    await vi.waitFor(async () => expect((await client.status("z")).records).toBeGreaterThan(50), 5000);
    // As a process that stood still for a while finds it: its lock has run out, and the partition is with another.
    const other = worker({ name: "other", lockDuration: 5000, stalledInterval: 200 });
    await other.ready();
    const redis = new Redis(url);
    await redis.set(`${prefix}:transfers:z~part-0:lock`, "somebody else's");
    await redis.del(`${prefix}:transfers:z~part-0:lock`);
    const result = await client.result("z");
    redis.disconnect();
    expect(result).toMatchObject({ totalRecords: 900, successCount: 900, verified: { equal: true } });
    expect(ends[0]).toBe("fenced");
    const [part] = await client.partitions("z");
    expect(part).toMatchObject({ records: 900, grainsDone: 1 });
    expect(part!.runs).toBeGreaterThan(1);
    expect(sizeOf(target)).toBe(900);
  });

  it("a function that fetches an endpoint and throws gives away nothing of what it fetched", async () => {
    const { worker, transfers, endpoints } = engine(url);
    worker({
      endpoints: {
        ...endpoints,
        from: () => {
          throw new P2PError("INVALID_ENDPOINT", "bad redis://:fetched-secret@host");
        },
      },
    });
    const client = transfers();
    await client.submit({ id: "fetch", source: "from", target: "to" });
    await sleep(500);
    const redis = new Redis(url);
    const values = JSON.stringify(await everything(redis));
    redis.disconnect();
    expect(values).not.toContain("fetched-secret");
  });

  it("keeps no secret in Redis", async () => {
    const { worker, transfers, endpoints, source } = engine(url);
    await fill(source, 300, (at) => ({ refuse: at % 50 === 0 }));
    const secrets = ["planted-source-pw", "planted-target-pw", "planted-token"];
    const named = {
      from: { storageType: "memory", database: source, metadata: { "x-password": secrets[0]! } },
      slow: async () => ({
        storageType: "slow",
        database: "kept",
        metadata: { "x-password": secrets[1]!, "x-token": secrets[2]! },
      }),
      // Where nobody listens, and so with an error for the whole.
      away: "redis://:planted-source-pw@127.0.0.1:1/0",
    };
    worker({ endpoints: { ...endpoints, ...named } });
    const client = transfers({ endpoints: named, starters: [memoryStarter] });
    await client.submit({ id: "s1", source: "from", target: "slow", partitions: 3 });
    await client.result("s1");
    await client.submit({ id: "s2", source: "from", target: "away", partitions: 2 });
    await sleep(1500);
    const redis = new Redis(url);
    const kept = JSON.stringify(await everything(redis));
    redis.disconnect();
    expect(kept).toContain("s1~part-0");
    expect(kept).toContain("s2");
    for (const secret of secrets) expect(kept).not.toContain(secret);
  });
});

/** All that Redis holds, whatever its type. */
async function everything(redis: Redis): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const keys of redis.scanStream({ count: 500 })) {
    for (const key of keys as string[]) {
      const type = await redis.type(key);
      const read: Record<string, () => Promise<unknown>> = {
        string: () => redis.get(key),
        hash: () => redis.hgetall(key),
        list: () => redis.lrange(key, 0, -1),
        set: () => redis.smembers(key),
        zset: () => redis.zrange(key, "0", "-1"),
        stream: () => redis.xrange(key, "-", "+"),
      };
      all.push([key, await read[type]?.()]);
    }
  }
  return all;
}

describe("the engine's own Redis", () => {
  it("may be gone in the middle of a transfer, and be killed, if it writes down what it is told", async ({ skip }) => {
    const service = await startService("redis", { persistent: true, exclusive: true });
    try {
      if (!service.restart) skip("a Redis from the environment cannot be restarted");
      const { worker, transfers, source, target } = engine(service.url);
      await fill(source, 1500);
      const workers = ["a", "b"].map((name) => worker({ name, lockDuration: 2000, stalledInterval: 500 }));
      const client = transfers();
      await client.submit({ id: "r", ...SLOWLY, partitions: 4, grains: 2, verify: "full" });
      await vi.waitFor(async () => expect((await client.status("r")).records).toBeGreaterThan(200), 5000);
      await service.restart!(() => sleep(4000));
      const result = await client.result("r");
      expect(result).toMatchObject({ totalRecords: 1500, successCount: 1500, verified: { equal: true } });
      const parts = await client.partitions("r");
      expect(parts.reduce((sum, { records }) => sum + records, 0)).toBe(1500);
      expect(sizeOf(target)).toBe(1500);
      await Promise.all([...workers, client].map((each) => each.close()));
    } finally {
      await service.stop();
    }
  });
});
