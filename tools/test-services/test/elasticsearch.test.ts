import { Client, errors } from "@elastic/elasticsearch";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startService, type TestService } from "../src/index.ts";
import { untilGone } from "./processes.ts";

let service: TestService;
let client: Client;

beforeAll(async () => {
  service = await startService("elasticsearch", {
    settings: { "http.max_content_length": "1mb", "indexing_pressure.memory.limit": "64kb" },
  });
  client = new Client({ node: service.url, maxRetries: 0 });
});

afterAll(async () => {
  await client?.close();
  await service?.stop();
});

it("says what it is to whoever asks", async () => {
  const { version, cluster_name, tagline } = await client.info();
  expect(version.number).toBe(service.version);
  expect(version.number).toMatch(/^8\./);
  expect(version.build_flavor).toBe("default");
  expect(cluster_name).not.toBe("");
  expect(tagline).toBe("You Know, for Search");
  expect(await client.ping()).toBe(true);
});

it("pages through slices of a point in time, and names the documents that a bulk request could not write", async () => {
  await client.indices.create({
    index: "pages",
    settings: { number_of_shards: 2, number_of_replicas: 0 },
    mappings: { dynamic: "strict", properties: { n: { type: "long" }, word: { type: "keyword" } } },
  });
  const documents = Array.from({ length: 100 }, (_, n) => (n % 25 === 7 ? { n: "no number" } : { n, word: `w${n}` }));
  const { errors: some, items } = await client.bulk({
    refresh: true,
    operations: documents.flatMap((document, id) => [{ index: { _index: "pages", _id: String(id) } }, document]),
  });
  expect(some).toBe(true);
  const refused = items.flatMap(({ index }) => (index?.error ? [index._id] : []));
  expect(refused).toEqual(["7", "32", "57", "82"]);
  expect((await client.count({ index: "pages" })).count).toBe(96);

  const pit = await client.openPointInTime({ index: "pages", keep_alive: "1m" });
  const seen: string[] = [];
  for (const id of [0, 1]) {
    let after: (string | number)[] | undefined;
    for (;;) {
      const { hits } = await client.search({
        pit: { id: pit.id, keep_alive: "1m" },
        slice: { id: String(id), max: 2 },
        sort: [{ _shard_doc: "asc" }],
        size: 10,
        ...(after && { search_after: after }),
      });
      if (hits.hits.length === 0) break;
      seen.push(...hits.hits.map((hit) => hit._id ?? ""));
      after = hits.hits.at(-1)?.sort as (string | number)[];
    }
  }
  await client.closePointInTime({ id: pit.id });
  expect(seen).toHaveLength(96);
  expect(new Set(seen).size).toBe(96);
  const rows = await client.cat.indices({ format: "json" });
  expect(rows.map(({ index }) => index)).toContain("pages");
});

it("answers 429 under pressure and 413 to a request over its limit, as any server does", async () => {
  const bulkOf = (bytes: number) =>
    client.bulk({ operations: [{ index: { _index: "pressure" } }, { text: "x".repeat(bytes) }] }).then(
      () => 200,
      (error: unknown) => (error instanceof errors.ResponseError ? error.statusCode : error),
    );
  expect(await bulkOf(1_000)).toBe(200);
  expect(await bulkOf(100_000)).toBe(429);
  // The server may close the connection while the rest is still being sent.
  expect([413, expect.any(errors.ConnectionError)]).toContainEqual(await bulkOf(2_000_000));
});

it("comes back on the same port with its data after a crash, and is gone after stop", async () => {
  const { url, pid } = service;
  await client.index({ index: "kept", id: "1", document: { a: 1 }, refresh: true });
  await service.restart?.(async () => {
    await expect(client.info()).rejects.toThrow();
  });
  expect(service.url).toBe(url);
  expect((await client.get({ index: "kept", id: "1" }))._source).toEqual({ a: 1 });
  if (pid !== undefined) await untilGone([pid], 0);

  const last = service.pid;
  await service.stop();
  if (last !== undefined) await untilGone([last], 0);
  await expect(client.info()).rejects.toThrow();
});
