import { setTimeout as sleep } from "node:timers/promises";
import { isP2PError } from "@omni/p2p-core";
import { memoryStarter, memoryStore } from "@omni/p2p-starter-memory";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { expect, it, onTestFinished, vi } from "vitest";
import { DistributedTransfer, type TransferWorkerOptions } from "../src/index.ts";
import { engine, fill, sizeOf } from "./support.ts";

const KEY = "a key that is long enough to sign with";
const OTHER_KEY = "another key that is as long as the first";

/** What a promise was rejected with: its code and message. */
const refusal = async (work: Promise<unknown>) =>
  work.then(
    () => "none",
    (error: unknown) => (isP2PError(error) ? `${error.code}: ${error.message}` : String(error)),
  );

describeWithService("redis", "who may submit what", ({ url }) => {
  const raw = () => {
    const redis = new Redis(url);
    onTestFinished(() => redis.disconnect());
    return redis;
  };

  it("lets an endpoint be used in its roles alone, and by no native query", async () => {
    const { worker, transfers, endpoints, source, target } = engine(url);
    await fill(source, 30);
    const guarded: TransferWorkerOptions["endpoints"] = {
      from: { endpoint: endpoints.from, roles: ["source"] },
      to: { endpoint: async () => endpoints.to, roles: ["target"] },
      open: { endpoint: endpoints.from, roles: ["source"], native: true },
    };
    worker({ endpoints: guarded });
    const client = transfers();
    await client.submit({ id: "right", source: "from", target: "to" });
    expect(await client.result("right")).toMatchObject({ successCount: 30 });
    await client.submit({ id: "round", source: "to", target: "from" });
    expect(await refusal(client.result("round"))).toMatch(
      /^SUBMISSION_REFUSED: .*"to" may be used as target and not as source/,
    );
    await client.submit({ id: "letters", source: "from", target: "to", deadLetters: "from" });
    expect(await refusal(client.result("letters"))).toMatch(/^SUBMISSION_REFUSED: .*not as deadLetters/);
    const query = { native: { sqlite: { sql: "SELECT * FROM secrets" } } } as object;
    await client.submit({ id: "native", source: "from", target: "to", query });
    expect(await refusal(client.result("native"))).toMatch(/^SUBMISSION_REFUSED: .*native query/);
    await client.submit({ id: "allowed", source: "open", target: "to", query });
    // The memory store has no native queries: it was asked, at least.
    expect(await refusal(client.result("allowed"))).toMatch(/^UNSUPPORTED_QUERY/);
    expect(sizeOf(source)).toBe(30);
    expect(sizeOf(target)).toBe(30);
  });

  it("says what is wrong with roles", () => {
    const { worker, endpoints } = engine(url);
    const made = (guard: object) => () =>
      worker({ endpoints: { from: { endpoint: endpoints.from, ...guard } as never } });
    expect(made({ roles: ["reader"] })).toThrow(/"roles" of the endpoint "from" must be a list of source, target/);
    expect(made({ roles: [] })).toThrow(/INVALID_CONFIG|"roles"/);
    expect(made({ roles: ["source"], natvie: true })).toThrow(/unknown key "natvie"/);
  });

  it("takes signed submissions alone where a worker has keys, and resumes them", async () => {
    const { worker, transfers, source, target } = engine(url);
    await fill(source, 40);
    worker({ signingKeys: [OTHER_KEY, KEY] });
    const signed = transfers({ signingKey: KEY });
    await signed.submit({ id: "signed", source: "from", target: "to" });
    expect(await signed.result("signed")).toMatchObject({ successCount: 40 });
    const unsigned = transfers();
    await unsigned.submit({ id: "unsigned", source: "from", target: "to" });
    expect(await refusal(unsigned.result("unsigned"))).toMatch(/^SUBMISSION_REFUSED: .*not signed/);
    const wrong = transfers({ signingKey: "a key that this worker was never told of" });
    await wrong.submit({ id: "wrong", source: "from", target: "to" });
    expect(await refusal(wrong.result("wrong"))).toMatch(/^SUBMISSION_REFUSED: .*not one of this worker's keys/);
    await signed.submit({ id: "late", source: "from", target: "to", validFor: 1 });
    expect(await refusal(signed.result("late"))).toMatch(/^SUBMISSION_REFUSED: .*its signature held until/);
    expect(sizeOf(target)).toBe(40);
  });

  it("refuses what was changed, moved to another id or prefix, or given other queries for its pieces", async () => {
    const { worker, transfers, prefix, source, target } = engine(url);
    await fill(source, 40);
    const redis = raw();
    const client = transfers({ signingKey: KEY });
    await client.submit({ id: "a", source: "from", target: "to", query: { where: { id: { lt: 10 } } } });
    const key = (id: string) => `${prefix}:transfer:${id}`;
    const kept = await redis.hgetall(key("a"));
    const elsewhere = transfers({ signingKey: KEY, prefix: `${prefix}-other` });
    await elsewhere.submit({ id: "moved", source: "from", target: "to" });
    const moved = await redis.hgetall(`${prefix}-other:transfer:moved`);
    for (const id of ["changed", "copied", "moved"]) await client.submit({ id, source: "from", target: "to" });
    const changed = kept.spec!.replace('"id":"a"', '"id":"changed"').replace('"source":"from"', '"source":"slow"');
    await redis.hset(key("changed"), "spec", changed, "signature", kept.signature!);
    await redis.hset(key("copied"), "spec", kept.spec!, "signature", kept.signature!);
    await redis.hset(key("moved"), "spec", moved.spec!, "signature", moved.signature!);
    const first = worker({ signingKeys: [KEY] });
    expect(await refusal(client.result("changed"))).toMatch(/^SUBMISSION_REFUSED: .*changed since/);
    expect(await refusal(client.result("copied"))).toMatch(/^SUBMISSION_REFUSED: .*under another id/);
    expect(await refusal(client.result("moved"))).toMatch(/^SUBMISSION_REFUSED: .*not one of this worker's keys/);
    expect(await client.result("a")).toMatchObject({ successCount: 10 });
    await first.close();
    // Planned where it is submitted, so that the pieces are there before any worker.
    const planned = transfers({ signingKey: KEY, endpoints: { from: `memory:${source}` }, starters: [memoryStarter] });
    await planned.submit({ id: "pieces", source: "from", target: "to", query: { where: { id: 1 } }, partitions: 1 });
    expect(await redis.hget(`${prefix}:grains:pieces`, "q:0")).toMatch(/^[pq]/);
    await redis.hset(`${prefix}:grains:pieces`, "q:0", 'q{"where":{"id":{"gte":0}}}');
    worker({ signingKeys: [KEY] });
    expect(await refusal(client.result("pieces"))).toMatch(/^SUBMISSION_REFUSED: .*not a part of the query/);
    expect(memoryStore(target).size).toBe(10);
  });

  it("has no key that can be guessed", () => {
    const { worker } = engine(url);
    expect(() => worker({ signingKeys: ["short"] })).toThrow(/32 characters or more/);
    expect(() => worker({ signingKeys: [] })).toThrow(/must be a list of keys/);
    expect(() => new DistributedTransfer({ connection: url, signingKey: "short" })).toThrow(/32 characters or more/);
  });

  it("refuses a submission that is too long, where it is made", async () => {
    const { transfers } = engine(url);
    const query = { where: { id: { in: Array.from({ length: 60_000 }, (_, at) => at) } } };
    expect(await refusal(transfers().submit({ id: "long", source: "from", target: "to", query }))).toMatch(
      /^INVALID_CONFIG: .*characters, and 262144 are allowed/,
    );
  });

  it("bears whatever stands in Redis: no worker ends, and the next transfer runs", async () => {
    const { worker, transfers, prefix, source } = engine(url);
    await fill(source, 20);
    const redis = raw();
    const made = worker();
    const errors: string[] = [];
    made.events.on("error", (error) => errors.push(error.message));
    await made.ready();
    const good = {
      v: 1,
      query: "{}",
      partitions: 1,
      grains: 1,
      config: {},
      verify: "none",
      createdAt: new Date().toISOString(),
    };
    const specs: Record<string, string> = {
      text: "no JSON",
      list: "[]",
      nothing: "null",
      empty: "{}",
      proto: `{"__proto__":{"polluted":true},"v":1,"id":"proto","source":"from","target":"to"}`,
      constructor: JSON.stringify({ ...good, id: "constructor", source: "__proto__", target: "constructor" }),
      query: JSON.stringify({ ...good, id: "query", source: "from", target: "to", query: "{" }),
      config: JSON.stringify({ ...good, id: "config", source: "from", target: "to", config: { batchSize: -1 } }),
      more: JSON.stringify({ ...good, id: "more", source: "from", target: "to", evil: 1 }),
      version: JSON.stringify({ ...good, v: -5, id: "version", source: "from", target: "to" }),
      huge: `{"v":1,"id":"${"x".repeat(2_000_000)}"}`,
      deep: `${"[".repeat(100_000)}${"]".repeat(100_000)}`,
    };
    const { Queue } = await import("bullmq");
    const queue = new Queue("transfers", { connection: new Redis(url, { maxRetriesPerRequest: null }), prefix });
    queue.on("error", () => {});
    onTestFinished(async () => {
      await queue.close();
    });
    for (const [id, spec] of Object.entries(specs)) {
      await redis.hset(`${prefix}:transfer:${id}`, "spec", spec, "state", "planning");
      await redis.zadd(`${prefix}:index`, Date.now(), id);
      await queue.add("plan", { v: 1, transfer: id }, { jobId: `${id}~plan` });
    }
    const jobs: [string, unknown][] = [
      ["part", null],
      ["part", []],
      ["part", { v: 1 }],
      ["part", { v: "1", transfer: "text", part: 0 }],
      ["part", { v: 1, transfer: { toString: 1 }, part: 0 }],
      ["part", { v: 1, transfer: "text", part: -1 }],
      ["part", { v: 1, transfer: "x".repeat(100_000), part: 0 }],
      ["other", { v: 1, transfer: "text" }],
      ["__proto__", { v: 1, transfer: "text" }],
    ];
    for (const [name, data] of jobs) await queue.add(name, data);
    // Data that is not even JSON, put where BullMQ keeps it.
    const broken = await queue.add("plan", { v: 1, transfer: "text" }, { delay: 300 });
    await redis.hset(`${prefix}:transfers:${broken.id}`, "data", "{not json");
    const client = transfers();
    await client.submit({ id: "fine", source: "from", target: "to" });
    expect(await client.result("fine")).toMatchObject({ successCount: 20 });
    await vi.waitFor(async () => {
      for (const id of Object.keys(specs)) {
        // Names of endpoints that nobody has: left to workers that may know them.
        if (id === "constructor") continue;
        expect([id, await redis.hget(`${prefix}:transfer:${id}`, "state")]).toEqual([id, "failed"]);
      }
    }, 20_000);
    expect(JSON.parse((await redis.hget(`${prefix}:transfer:proto`, "error"))!)).toMatchObject({
      code: "SUBMISSION_REFUSED",
    });
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(await redis.hget(`${prefix}:transfer:constructor`, "hint")).toContain('no endpoint named "__proto__"');
    // The list names them, and shows the good one.
    const list = await client.list();
    expect(list.find(({ id }) => id === "fine")).toMatchObject({ state: "completed" });
    expect(list.find(({ id }) => id === "text")).toMatchObject({
      state: "failed",
      error: { code: "SUBMISSION_REFUSED" },
    });
    await sleep(500);
    await client.submit({ id: "fine-2", source: "from", target: "to" });
    expect(await client.result("fine-2")).toMatchObject({ successCount: 20 });
  });
});
