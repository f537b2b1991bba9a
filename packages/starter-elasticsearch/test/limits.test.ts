import { idKey, type P2PRecord } from "@omni/p2p-core/starter";
import { startService, type TestService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { call } from "./fresh-index.ts";
import { startProxy } from "./http-proxy.ts";
import { calm, open, read, rejection, testIndex, write } from "./opening.ts";

const ids = (records: readonly P2PRecord[]): string[] => records.map(({ id }) => idKey(id));

describeWithService("elasticsearch", "a server with little patience", () => {
  let server: TestService;
  beforeAll(async () => {
    const settings = {
      // Views are dropped within a second of their end, and requests are small.
      "search.keep_alive_interval": "100ms",
      "http.max_content_length": "1mb",
      "indexing_pressure.memory.limit": "600kb",
    };
    server = await startService("elasticsearch", { settings });
  }, 120_000);
  afterAll(() => server?.stop());

  test("a reader that rests longer than the server keeps its view goes on without gaps or repeats", async () => {
    const { index, endpoint } = testIndex(server.url);
    const records = Array.from({ length: 500 }, (_, i) => ({ id: `r${String(i).padStart(3, "0")}`, n: i }));
    await write(await open(`${endpoint}&shards=2`), records);
    await using proxy = await startProxy(server.url);
    let views = 0;
    proxy.onRequest = ({ method, path }) => method === "POST" && path.includes("/_pit") && views++;
    const source = await open(`${proxy.endpoint}/${index}?pitKeepAliveMs=1000`, "source");
    const seen: string[] = [];
    let rested = 0;
    for await (const batch of source.readFromSource({}, { batchSize: 60, batchBytes: 3000, signal: calm() })) {
      seen.push(...ids(batch.records));
      if (seen.length < 400 || rested++ > 1) continue;
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await call(server.url, "POST", `/${index}/_forcemerge?max_num_segments=1`);
    }
    expect(views).toBeGreaterThan(1);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.sort()).toEqual(ids(records));
  });

  test("a record over the server's request limit is a failure of its own, and the others are written", async () => {
    const { endpoint } = testIndex(server.url);
    const target = await open(endpoint);
    const records = [{ id: "a" }, { id: "huge", body: "x".repeat(1_100_000) }, { id: "b" }];
    const { written, failures } = await write(target, records);
    expect(written).toBe(2);
    expect(failures.map(({ index, error }) => [index, error.code, error.retryable])).toEqual([
      [1, "RECORD_TOO_LARGE", false],
    ]);
    expect(failures[0]?.error.message).toContain("http.max_content_length");
    expect(ids(await read(await open(endpoint, "source")))).toEqual(["a", "b"]);
  });

  test("a server that has too much to do says so, and it is worth another try", async () => {
    const { endpoint } = testIndex(server.url);
    const target = await open(endpoint);
    const records = Array.from({ length: 40 }, (_, i) => ({ id: `r${i}`, body: "x".repeat(20_000) }));
    const error = await rejection(write(target, records));
    expect(error).toMatchObject({ code: "BUSY", retryable: true });
    expect(await write(target, records.slice(0, 10))).toMatchObject({ written: 10 });
  });
});
