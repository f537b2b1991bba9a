import { isP2PError } from "@omni/p2p-core";
import { memoryStarter, memoryStore } from "@omni/p2p-starter-memory";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import type { TransferStatus } from "../src/index.ts";
import { engine, fill, sizeOf } from "./support.ts";

describeWithService("redis", "a transfer over workers", ({ url }) => {
  it("moves every record once and adds up one result", async () => {
    const { worker, transfers, source, target } = engine(url);
    await fill(source, 5000);
    const [a, b] = [worker({ name: "a" }), worker({ name: "b", concurrency: 2 })];
    await Promise.all([a.ready(), b.ready()]);
    const client = transfers();
    await client.submit({ id: "all", source: "from", target: "to", partitions: 6, verify: "full" });
    const seen: TransferStatus[] = [];
    for await (const status of client.watch("all", { interval: 20 })) seen.push(status);
    expect(seen.at(-1)).toMatchObject({ state: "completed", records: 5000, total: 5000, failures: 0, done: 1 });
    const result = await client.result("all");
    expect(result).toMatchObject({ totalRecords: 5000, successCount: 5000, recordsRead: 5000, notes: [] });
    expect(result.verified).toMatchObject({ kind: "full", equal: true, sourceCount: 5000, targetCount: 5000 });
    expect(result.partitions).toBeGreaterThanOrEqual(6);
    expect(sizeOf(target)).toBe(5000);
    const parts = await client.partitions("all");
    expect(parts.every(({ state, grains, grainsDone }) => state === "done" && grains === grainsDone)).toBe(true);
    expect(parts.reduce((sum, { records }) => sum + records, 0)).toBe(5000);
    expect(await client.list()).toHaveLength(1);
  });

  it("is planned where it is submitted, if the source can be opened there", async () => {
    const { worker, transfers, endpoints, source } = engine(url);
    await fill(source, 100);
    const client = transfers({ endpoints: { from: endpoints.from }, starters: [memoryStarter] });
    await client.submit({ id: "here", source: "from", target: "to", partitions: 4 });
    // There is no worker yet.
    expect(await client.status("here")).toMatchObject({ state: "running", partitions: 4, total: 100 });
    worker();
    expect(await client.result("here")).toMatchObject({ successCount: 100, verified: { kind: "count", equal: true } });
  });

  it("keeps the query with the types of its values", async () => {
    const { worker, transfers, source } = engine(url);
    await fill(source, 100, (at) => ({ when: new Date(at * 1000), big: BigInt(at) }));
    worker();
    const client = transfers();
    const query = { where: { when: { gte: new Date(50_000) }, big: { lt: 90n } } };
    await client.submit({ id: "typed", source: "from", target: "to", query, partitions: 3 });
    expect(await client.result("typed")).toMatchObject({ successCount: 40 });
  });

  it("tells of a field that the query names and no record has", async () => {
    const { worker, transfers, source } = engine(url);
    await fill(source, 50, () => ({ title: "a" }));
    worker();
    const client = transfers();
    const mistyped = { where: { titel: "a" } };
    await client.submit({ id: "typo", source: "from", target: "to", query: mistyped, partitions: 3 });
    expect(await client.result("typo")).toMatchObject({
      successCount: 0,
      notes: [expect.stringMatching(/"titel", which where of the query names \(did you mean "title"\?\)$/)],
    });
    const right = { where: { title: "a" }, fields: ["title"] };
    await client.submit({ id: "right", source: "from", target: "to", query: right, partitions: 3 });
    expect(await client.result("right")).toMatchObject({ successCount: 50, notes: [] });
  });

  it("runs as one, and says so, when the query cannot be parted", async () => {
    const { worker, transfers, source } = engine(url);
    await fill(source, 50);
    worker();
    const client = transfers();
    await client.submit({ id: "one", source: "from", target: "to", query: { limit: 20 }, partitions: 8 });
    const result = await client.result("one");
    expect(result).toMatchObject({ successCount: 20, partitions: 1 });
    expect(result.notes[0]).toMatch(/^It ran as one part: a query with an order, an offset or a limit/);
  });

  it("sends records through a transform of the workers", async () => {
    const { worker, transfers, source, target } = engine(url);
    await fill(source, 60);
    worker({ transforms: { even: (record) => ((record.id as number) % 2 ? null : { ...record, even: true }) } });
    const client = transfers();
    await client.submit({ id: "t", source: "from", target: "to", transform: "even", partitions: 3, verify: "full" });
    expect(await client.result("t")).toMatchObject({ successCount: 30, skippedCount: 30, verified: { equal: true } });
    expect(memoryStore(target).size).toBe(30);
  });

  it("keeps every failed record in the dead letters, and lists the first", async () => {
    const { worker, transfers, source } = engine(url);
    await fill(source, 200, (at) => ({ refuse: at % 10 === 0 }));
    worker();
    const client = transfers();
    await client.submit({ id: "some", source: "from", target: "slow", partitions: 4, config: { batchSize: 20 } });
    expect(await client.result("some")).toMatchObject({ successCount: 180, failureCount: 20 });
    const letters: Record<string, unknown>[] = [];
    for await (const letter of client.deadLetters("some")) letters.push(letter as Record<string, unknown>);
    expect(letters.map(({ id }) => Number(id)).sort((a, b) => a - b)).toEqual([...Array(20).keys()].map((i) => i * 10));
    expect(letters[0]).toMatchObject({ transferId: "some", code: "TYPE_MISMATCH", phase: "write" });
    expect((await client.result("some")).errors).toHaveLength(20);
  });

  it("has one budget of failures for all partitions", async () => {
    const { worker, transfers, source } = engine(url);
    await fill(source, 400, (at) => ({ refuse: at % 10 === 0 }));
    worker({ concurrency: 4 });
    const client = transfers();
    const config = { maxFailures: 12, batchSize: 10 };
    await client.submit({ id: "budget", source: "from", target: "slow", partitions: 4, config });
    const error: unknown = await client.result("budget").catch((thrown: unknown) => thrown);
    expect(isP2PError(error, "TOO_MANY_FAILURES")).toBe(true);
    const { state, failures } = await client.status("budget");
    expect(state).toBe("failed");
    expect(failures).toBeLessThan(40);
  });

  it("refuses a second submission with an id, and what is not right", async () => {
    const { transfers } = engine(url);
    const client = transfers();
    await client.submit({ id: "twice", source: "from", target: "to" });
    const codeOf = async (work: Promise<unknown>) =>
      work.then(
        () => "none",
        (error: unknown) => (isP2PError(error) ? error.code : String(error)),
      );
    expect(await codeOf(client.submit({ id: "twice", source: "from", target: "to" }))).toBe("TRANSFER_EXISTS");
    expect(await codeOf(client.submit({ id: "x", source: "redis://:pw@h", target: "to" }))).toBe("INVALID_CONFIG");
    expect(await codeOf(client.submit({ id: "x", source: "a", target: "b", partitions: 0 }))).toBe("INVALID_CONFIG");
    expect(await codeOf(client.submit({ id: "x", source: "a", target: "b", query: { limit: -1 } }))).toBe(
      "INVALID_QUERY",
    );
    expect(await codeOf(client.status("x"))).toBe("TRANSFER_NOT_FOUND");
    await client.cancel("twice");
    await client.remove("twice");
    expect(await client.list()).toEqual([]);
    await client.submit({ id: "twice", source: "from", target: "to" });
  });

  it("tells at once what is wrong with a source that can be opened here, and keeps nothing of it", async () => {
    const { transfers } = engine(url);
    const client = transfers({ endpoints: { gone: "memory:nobody-made-it" }, starters: [memoryStarter] });
    const error: unknown = await client
      .submit({ id: "bad", source: "gone", target: "to" })
      .catch((thrown: unknown) => thrown);
    expect(isP2PError(error, "SOURCE_NOT_FOUND")).toBe(true);
    expect(await client.list()).toEqual([]);
  });
});
