import { type ChangeBatch, type JsonValue, type P2PDataTransferService, parseEndpoint } from "@omni/p2p-core/starter";
import { startService, type TestService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { redisStarter } from "../src/index.ts";
import { calm, errorOf, openAt, writeAll } from "./opening.ts";
import { proxyTo } from "./tcp.ts";

describeWithService("redis", "changes", () => {
  let server: TestService;
  let client: Redis;
  const opened: P2PDataTransferService[] = [];

  beforeAll(async () => {
    server = await startService("redis", { exclusive: true, log: () => {} });
    client = new Redis(server.url);
  });
  afterAll(async () => {
    await Promise.all(opened.map((service) => service.close()));
    await client.quit();
    await server.stop();
  });
  beforeEach(() => client.flushall());

  const at = (query: string, user = "") => {
    const { hostname, port } = new URL(server.url);
    return `redis://${user}${hostname}:${port}/${query}`;
  };
  const open = async (query = "0?prefix=a:", user = "") => {
    const service = await openAt(at(query, user), "source", {}, 2000);
    opened.push(service);
    return service;
  };

  it("names what was written, renamed, deleted and expired, by whatever command, and nothing of other prefixes", async () => {
    const service = await open("0?prefix=a:&marker=a:marker");
    await client.mset("a:gone", 1, "a:from", 1, "a:hash", 1);
    const start = await service.changes!.now("f", calm());
    await client.set("a:text", 1);
    await client.multi().set("a:é", 1).rename("a:from", "a:to").exec();
    await client.eval('redis.call("hset", KEYS[1], "f", "1")', 1, "a:script");
    await client.del("a:gone", "a:hash");
    await client.lpush("a:list", 1);
    await client.set("a:ttl", 1, "PX", 300);
    await client.set(Buffer.from([0x61, 0x3a, 0xff]), 1);
    await client.mset("b:other", 1, "a:", 1, "a:marker", "x");
    const { ids, batches } = await heardOf(service, start, 10);
    expect(ids).toEqual(["from", "gone", "hash", "list", "script", "text", "to", "ttl", "é", "ff"].sort());
    const outcomes = await service.lookUp!(
      batches.flatMap(({ refs }) => refs),
      {},
      { signal: calm() },
    );
    expect(outcomes.filter(({ state }) => state === "absent")).toHaveLength(3);
    await new Promise((resolve) => setTimeout(resolve, 310));
    await client.get("a:ttl");
    const { ids: later } = await heardOf(service, batches.at(-1)!.cursor, 1);
    expect(later).toEqual(["ttl"]);
  });

  it("names what each format writes, deletes included", async () => {
    for (const format of ["json", "hash"]) {
      const service = await open(`0?prefix=${format}:&format=${format}`);
      const target = await openAt(at(`0?prefix=${format}:&format=${format}`));
      opened.push(target);
      const start = await service.changes!.now("f", calm());
      await writeAll(target, [{ id: 1, n: 1 }, { id: "x" }]);
      const first = await heardOf(service, start, 2);
      expect(first.ids).toEqual(["1", "x"]);
      await target.deleteFromTarget!([{ id: 1 }], { signal: calm() });
      expect((await heardOf(service, first.batches.at(-1)!.cursor, 1)).ids).toEqual(["1"]);
    }
  });

  it("names a key once that changes a thousand times, and again what is read from an older position", async () => {
    const service = await open();
    const start = await service.changes!.now("f", calm());
    const pipeline = client.pipeline();
    for (let i = 0; i < 1000; i++) pipeline.set("a:1", i);
    await pipeline.set("a:2", 1).exec();
    const { batches } = await heardOf(service, start, 2);
    expect(batches.reduce((sum, { refs }) => sum + refs.length, 0)).toBeLessThan(20);
    const end = batches.at(-1)!.cursor;
    expect((await heardOf(service, start, 2)).ids).toEqual(["1", "2"]);
    await client.set("a:3", 1);
    expect((await heardOf(service, end, 1)).ids).toEqual(["3"]);
    await service.changes!.acknowledge!("f", end, calm());
    expect((await heardOf(service, end, 1)).ids).toEqual(["3"]);
    expect((await lossAfter(service, start)).code).toBe("CHANGES_LOST");
  });

  it("moves on while nothing happens, and begins where it stands when it is asked again", async () => {
    const service = await open();
    const start = await service.changes!.now("f", calm());
    const reading = service.changes!.read({ follower: "f", after: start, maxWaitMs: 30, signal: calm() });
    let idle = 0;
    for await (const { refs } of reading) {
      expect(refs).toEqual([]);
      if (++idle === 3) break;
    }
    await client.set("a:1", 1);
    const again = await service.changes!.now("f", calm());
    await client.set("a:2", 1);
    expect((await heardOf(service, again, 1)).ids).toEqual(["2"]);
    const stop = new AbortController();
    const aborted = service.changes!.read({ follower: "f", after: again, maxWaitMs: 60_000, signal: stop.signal });
    const waiting = Promise.all([aborted[Symbol.asyncIterator]().next(), aborted[Symbol.asyncIterator]().next()]);
    setTimeout(() => stop.abort(new Error("enough")), 50);
    await expect(waiting).rejects.toThrow("enough");
  });

  it("is lost by a flush, a cut, another process and a release, and can be begun anew", async () => {
    const service = await open();
    const losses: (() => Promise<unknown>)[] = [
      () => client.flushdb(),
      () => client.call("client", "kill", "type", "pubsub"),
      () => service.changes!.release!("f", calm()),
    ];
    for (const lose of losses) {
      const start = await service.changes!.now("f", calm());
      await lose();
      expect((await lossAfter(service, start)).code).toBe("CHANGES_LOST");
      expect((await lossAfter(service, start)).code).toBe("CHANGES_LOST");
    }
    const start = await service.changes!.now("f", calm());
    expect((await lossAfter(await open(), start)).code).toBe("CHANGES_LOST");
    const foreign = { store: "sqlite", at: 1 };
    expect((await lossAfter(service, foreign)).code).toBe("CHECKPOINT_INVALID");
  });

  it("is lost by what is sent faster than it is taken", async () => {
    const service = await open();
    const start = await service.changes!.now("f", calm());
    await client.config("SET", "client-output-buffer-limit", "pubsub 1024 0 0");
    await client.mset(new Map(Array.from({ length: 1000 }, (_, i) => [`a:${"long".repeat(20)}${i}`, 1])));
    expect((await lossAfter(service, start)).code).toBe("CHANGES_LOST");
    await client.config("SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60");
  });

  it("is lost by SWAPDB, of which no message tells, also where the counters were set back", async () => {
    for (const hide of [false, true]) {
      const service = await open();
      const start = await service.changes!.now("f", calm());
      await client.swapdb(0, 1);
      if (hide) await client.config("RESETSTAT");
      const error = await lossAfter(service, start);
      expect([error.code, error.message]).toEqual(["CHANGES_LOST", expect.stringContaining("SWAPDB")]);
      await service.close();
    }
  });

  it("is lost by a half-open connection", async () => {
    const proxy = await proxyTo(Number(new URL(server.url).port));
    const service = await openAt(`redis://127.0.0.1:${proxy.port}?prefix=a:`, "source", {}, 500);
    opened.push(service);
    const start = await service.changes!.now("f", calm());
    proxy.stall();
    const error = await lossAfter(service, start);
    expect([error.code, error.message]).toEqual(["CHANGES_LOST", expect.stringContaining("broke")]);
    await service.close();
    await proxy.close();
  });

  it("waits before the next session where one after the other breaks at once", async () => {
    const service = await open();
    const times: number[] = [];
    for (let i = 0; i < 4; i++) {
      const started = performance.now();
      const start = await service.changes!.now("f", calm());
      times.push(performance.now() - started);
      await client.flushdb();
      await lossAfter(service, start);
    }
    expect(Math.max(...times.slice(0, 3))).toBeLessThan(900);
    expect(times[3]).toBeGreaterThan(900);
  });

  it("is refused where keys are evicted, unless told to take that for deletes", async () => {
    const service = await open();
    const start = await service.changes!.now("f", calm());
    await client.config("SET", "maxmemory", "100mb");
    await client.config("SET", "maxmemory-policy", "allkeys-lru");
    try {
      const error = await errorOf(service.changes!.now("other", calm()));
      expect([error.code, error.message]).toEqual(["CHANGES_UNAVAILABLE", expect.stringContaining("noeviction")]);
      expect((await lossAfter(service, start)).code).toBe("CHANGES_UNAVAILABLE");
      expect(await statusAt("0?prefix=a:")).toMatchObject({ state: "unavailable" });
      const told = await open("0?prefix=a:&evictions=delete");
      const position = await told.changes!.now("f", calm());
      await client.set("a:1", 1);
      expect((await heardOf(told, position, 1)).ids).toEqual(["1"]);
    } finally {
      await client.config("SET", "maxmemory", "0");
      await client.config("SET", "maxmemory-policy", "noeviction");
    }
  });

  it("is refused without the right, and the error names the rule that gives it", async () => {
    await client.call(
      "acl",
      "setuser",
      "app",
      "reset",
      "on",
      ">right-s3cret",
      "~a:*",
      "+@read",
      "+@connection",
      "+info",
    );
    await client.call("acl", "setuser", "app", "-client|tracking");
    const user = "app:right-s3cret@";
    const service = await open("0?prefix=a:", user);
    const error = await errorOf(service.changes!.now("f", calm()));
    expect(error.code).toBe("CHANGES_UNAVAILABLE");
    const rule = /ACL SETUSER (\S+) ([^;]+);/.exec(error.message)!;
    await client.call("acl", "setuser", rule[1]!, ...rule[2]!.split(" "));
    const start = await service.changes!.now("f", calm());
    await client.set("a:1", 1);
    expect((await heardOf(service, start, 1)).ids).toEqual(["1"]);
  });

  it("falls back on notifications, which are turned on when that is asked for and see a flush by its count", async () => {
    const user = "app2:right-s3cret@";
    const rights = ["reset", "on", ">right-s3cret", "~*", "&*", "+@all", "-client|tracking"];
    await client.call("acl", "setuser", "app2", ...rights);
    expect(await statusAt("0?prefix=a:", user)).toMatchObject({
      state: "off",
      detail: expect.stringContaining("CONFIG SET notify-keyspace-events KA"),
    });
    expect(await client.config("GET", "notify-keyspace-events")).toEqual(["notify-keyspace-events", ""]);
    const endpoint = parseEndpoint(at("0?prefix=a:", user));
    const context = { role: "source", signal: calm(), connectTimeoutMs: 2000 } as const;
    expect(await redisStarter.changes!.enable(endpoint, context)).toMatchObject({ state: "on" });
    const service = await open("0?prefix=a:", user);
    const start = await service.changes!.now("f", calm());
    await client.set("a:1", 1);
    await client.set(Buffer.from([0x61, 0x3a, 0xff]), 1);
    await client.set("b:1", 1);
    await client.rename("a:1", "a:2");
    expect((await heardOf(service, start, 3)).ids).toEqual(["1", "2", "ff"]);
    await client.flushdb();
    expect((await lossAfter(service, start)).code).toBe("CHANGES_LOST");
    expect((await redisStarter.changes!.disable(endpoint, context)).warnings.join()).toContain("stays as it is");
    const later = await service.changes!.now("f", calm());
    await client.config("SET", "notify-keyspace-events", "");
    await client.set("a:unheard", 1);
    const lost = await lossAfter(service, later);
    expect([lost.code, lost.message]).toEqual(["CHANGES_LOST", expect.stringContaining("notify-keyspace-events")]);
    expect((await errorOf(service.changes!.now("f", calm()))).code).toBe("CHANGES_UNAVAILABLE");
  });

  it("tells its state where all is well", async () => {
    expect(await statusAt("0?prefix=a:")).toMatchObject({ state: "on", kept: [] });
    const replicas = await openAt(at("0?prefix=a:"), "source", { redis: { role: "slave" } });
    opened.push(replicas);
    expect((await errorOf(replicas.changes!.now("f", calm()))).code).toBe("CHANGES_UNAVAILABLE");
  });

  const statusAt = (query: string, user = "") =>
    redisStarter.changes!.status(parseEndpoint(at(query, user)), {
      role: "source",
      signal: calm(),
      connectTimeoutMs: 2000,
    });
});

/** Reads until so many different ids have come; bytes as hexadecimal text. */
async function heardOf(service: P2PDataTransferService, after: JsonValue, count: number) {
  const ids = new Set<string>();
  const batches: ChangeBatch[] = [];
  const signal = AbortSignal.timeout(10_000);
  for await (const batch of service.changes!.read({ follower: "f", after, maxWaitMs: 200, signal })) {
    batches.push(batch);
    for (const { id } of batch.refs) ids.add(id instanceof Uint8Array ? Buffer.from(id).toString("hex") : String(id));
    if (ids.size >= count) break;
  }
  return { ids: [...ids].sort(), batches };
}

/** What reading from a position ends with. */
function lossAfter(service: P2PDataTransferService, after: JsonValue) {
  const signal = AbortSignal.timeout(10_000);
  return errorOf(
    (async () => {
      for await (const { cursor } of service.changes!.read({ follower: "f", after, maxWaitMs: 100, signal }))
        void cursor;
    })(),
  );
}
