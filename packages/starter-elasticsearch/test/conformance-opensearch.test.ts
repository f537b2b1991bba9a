import { type JsonValue, parseEndpoint, type ReadOptions, type RecordBatch } from "@omni/p2p-core/starter";
import { describeWithOwnService } from "@omni/p2p-test-services/suite";
import { describeConformance } from "@omni/p2p-testkit";
import { describe, expect, onTestFinished, test } from "vitest";
import { elasticsearchStarter } from "../src/index.ts";
import { call, freshIndex } from "./fresh-index.ts";
import { startProxy } from "./http-proxy.ts";
import { calm, open, read, rejection, testIndex, write } from "./opening.ts";

// One server for both suites: a start costs seconds and half a gigabyte.
await describeWithOwnService(
  "elasticsearch",
  { release: "opensearch", heap: "512m" },
  "OpenSearch",
  ({ url, product, version }) => {
    test("it is a real OpenSearch", async () => {
      expect(product).toBe("OpenSearch");
      expect(await call(url, "GET", "/")).toMatchObject({ version: { distribution: "opensearch", number: version } });
    });

    describeConformance({
      name: "opensearch",
      starter: elasticsearchStarter,
      createEndpoint: async () => freshIndex(url),
      lacks: [{ what: "long ids", reason: "OpenSearch's ids have 512 bytes at most" }],
      timeoutMs: 120_000,
    });

    describe("what is other than in Elasticsearch", () => {
      test("a sorted read goes on in another process where documents of several indices and shards are equal", async () => {
        const { index, endpoint } = testIndex(url);
        const documents = Array.from({ length: 12 }, (_, n) => `${n}`);
        for (const suffix of ["a", "b"]) {
          onTestFinished(async () => void (await call(url, "DELETE", `/${index}-${suffix}`)));
          const settings = { number_of_shards: 3, number_of_replicas: 0 };
          const mappings = { properties: { rank: { type: "long" } } };
          await call(url, "PUT", `/${index}-${suffix}`, { settings, mappings });
          const lines = documents.flatMap((id) => [{ index: { _id: `${suffix}${id}` } }, { rank: 1 }]);
          const body = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
          await call(url, "POST", `/${index}-${suffix}/_bulk?refresh=true`, body);
        }
        const both = endpoint.replace(index, `${index}-*`);
        const seen: unknown[] = [];
        let after: JsonValue | undefined;
        for (let turn = 0; turn < 30; turn++) {
          // Each batch by a connection of its own, so that its view is another one.
          const source = await elasticsearchStarter.open(parseEndpoint(both), {
            role: "source",
            signal: calm(),
            connectTimeoutMs: 10_000,
          });
          let batch: RecordBatch | undefined;
          const options: ReadOptions = { batchSize: 1, signal: calm(), ...(after === undefined ? {} : { after }) };
          for await (const read of source.readFromSource({ orderBy: "rank" }, options)) {
            batch = read;
            break;
          }
          await source.close();
          if (batch === undefined) break;
          seen.push(...batch.records.map(({ id }) => id));
          after = JSON.parse(JSON.stringify(batch.cursor)) as JsonValue;
        }
        const all = ["a", "b"].flatMap((suffix) => documents.map((id) => `${suffix}${id}`));
        expect(seen).toHaveLength(all.length);
        expect(new Set(seen)).toEqual(new Set(all));
      });

      test("objects are kept as they are and nothing in them is a field", async () => {
        const { index, endpoint } = testIndex(url);
        const records = [
          { id: "a", data: { "odd.name": [1, null, { at: new Date(5) }] } },
          { id: "b", data: "a text" },
          { id: "c", data: { "odd.name": "x".repeat(40_000) } },
        ];
        const service = await open(endpoint);
        expect(await write(service, records)).toMatchObject({ written: 3, failures: [] });
        expect(await read(service)).toEqual(records);
        expect(await read(service, { where: { data: "a text" } })).toEqual([records[1]]);
        const mapping = await call<Record<string, { mappings: object }>>(url, "GET", `/${index}/_mapping`);
        expect(mapping[index]?.mappings).toMatchObject({
          dynamic: "false",
          properties: {
            data: { type: "object", enabled: false },
            _p2p: { properties: { fields: { type: "keyword" } } },
          },
        });
      });

      test("texts that are too long for their keyword are found and sorted, in an index of ours and of others", async () => {
        const { index, endpoint } = testIndex(url);
        const records = Array.from({ length: 20 }, (_, i) => {
          const number = String(i).padStart(2, "0");
          return { id: `r${number}`, text: i % 2 ? `${number}${"x".repeat(300)}` : number, none: i > 9 ? null : "a" };
        });
        await write(await open(endpoint), records);
        const theirs = `${index}-theirs`;
        onTestFinished(async () => void (await call(url, "DELETE", `/${theirs}`)));
        const text = { type: "keyword", ignore_above: 100 };
        await call(url, "PUT", `/${theirs}`, { mappings: { properties: { text, none: { type: "keyword" } } } });
        await write(await open(endpoint.replace(index, theirs)), records);
        for (const name of [index, theirs]) {
          const source = await open(endpoint.replace(index, name), "source");
          expect(await read(source, { orderBy: "text" }, { batchSize: 3 })).toEqual(records);
          expect(await read(source, { where: { text: records[1]!.text } })).toEqual([records[1]]);
          const long = records.filter(({ text }) => text > "1").map(({ id }) => id);
          const found = await read(source, { where: { text: { gt: "1" } }, orderBy: "text" });
          expect(found.map(({ id }) => id)).toEqual(long);
          expect(await source.count({ where: { text: { exists: true } } }, calm())).toBe(20);
        }
      });

      test("documents of a data stream are looked up, and deleted from the index they are in", async () => {
        const { index, endpoint } = testIndex(url);
        const template = {
          index_patterns: [`${index}*`],
          data_stream: {},
          template: { settings: { number_of_replicas: 0 } },
          priority: 500,
        };
        await call(url, "PUT", `/_index_template/${index}`, template);
        onTestFinished(async () => {
          await call(url, "DELETE", `/_data_stream/${index}`);
          await call(url, "DELETE", `/_index_template/${index}`);
        });
        for (const id of ["a", "b"]) {
          await call(url, "PUT", `/${index}/_create/${id}?refresh=true`, { "@timestamp": "2024-01-01T00:00:00Z" });
        }
        const target = await open(endpoint);
        expect(await target.deleteFromTarget!([{ id: "a" }, { id: "c" }], { signal: calm() })).toEqual({
          deleted: 1,
          absent: 1,
          changed: [],
          failures: [],
        });
        await call(url, "POST", `/${index}/_rollover`);
        const lookedUp = await target.lookUp!([{ id: "b" }], {}, { signal: calm() });
        expect(lookedUp).toMatchObject([{ state: "wanted", locator: { index: expect.stringMatching(/^\.ds-/) } }]);
        expect(await target.deleteFromTarget!([{ id: "b" }], { signal: calm() })).toMatchObject({ deleted: 1 });
        expect(await read(await open(endpoint, "source"))).toEqual([]);
      });

      test("a dry run and a look around tell the types that are made there", async () => {
        const { index, endpoint } = testIndex(url);
        const context = { signal: calm(), connectTimeoutMs: 10_000 };
        await write(await open(endpoint), [{ id: "a", data: { n: 1 } }]);
        const sample = [{ id: "a", data: { n: 1 }, more: { n: 1 } }];
        const place = { ...context, role: "target" as const };
        const described = await elasticsearchStarter.describeMapping?.(parseEndpoint(endpoint), sample, place);
        const storedAs = Object.fromEntries((described ?? []).map((field) => [field.field, field.storedAs]));
        expect(storedAs).toMatchObject({ data: "object (kept, not searched)", more: "object (kept, not searched)" });
        const found = await elasticsearchStarter.inspect?.(parseEndpoint(endpoint), { ...context, role: "source" });
        expect(JSON.stringify(found)).toContain(index);
      });

      test("one who may read the documents and nothing else can read them, with their types", async () => {
        const { index, endpoint } = testIndex(url);
        const records = [{ id: "a", size: 2, tags: ["x"], data: { n: 1 }, big: 2n ** 60n }];
        await write(await open(endpoint), records);
        await call(url, "POST", `/${index}/_refresh`);
        await using proxy = await startProxy(url);
        const reason = { type: "security_exception", reason: "no permissions" };
        proxy.answer = ({ path }) =>
          /_mapping|_refresh|_nodes|^\/(\?|$)/.test(path)
            ? { status: 403, genuine: false, body: { error: reason, status: 403 } }
            : undefined;
        const source = await open(`${proxy.endpoint}/${index}`, "source");
        expect(await read(source)).toEqual(records);
        expect(await read(source, { where: { size: 2 }, orderBy: "size" })).toEqual(records);
      });

      test("look-ups and deletions agree with reading, over indices, routings, and without the right to refresh", async () => {
        const { index, endpoint } = testIndex(url);
        for (const suffix of ["a", "b"]) {
          onTestFinished(async () => void (await call(url, "DELETE", `/${index}-${suffix}`)));
          const settings = { number_of_shards: 3, number_of_replicas: 0, max_result_window: 7 };
          await call(url, "PUT", `/${index}-${suffix}`, { settings });
          const lines = Array.from({ length: 40 }, (_, n) => [{ index: { _id: `${n}`, routing: `r${n % 3}` } }, { n }]);
          const body = lines.flat().map((line) => `${JSON.stringify(line)}\n`);
          await call(url, "POST", `/${index}-${suffix}/_bulk?refresh=true`, body.join(""));
        }
        const target = await open(endpoint.replace(index, `${index}-*`), "source");
        const refs = Array.from({ length: 50 }, (_, n) => ({ id: n }));
        const query = { where: { n: { gte: 20 } } };
        const outcomes = await target.lookUp!(refs, query, { signal: calm() });
        expect(outcomes.map(({ state }) => state)).toEqual(
          refs.map(({ id }) => (id < 20 ? "unwanted" : id < 40 ? "wanted" : "absent")),
        );
        const result = await target.deleteFromTarget!(refs, { signal: calm() });
        expect(result).toEqual({ deleted: 40, absent: 10, changed: [], failures: [] });
        expect(await read(target)).toEqual([]);
        await using proxy = await startProxy(url);
        const reason = { type: "security_exception", reason: "no permissions" };
        proxy.answer = ({ path }) =>
          path.endsWith("/_refresh")
            ? { status: 403, genuine: false, body: { error: reason, status: 403 } }
            : undefined;
        await call(url, "PUT", `/${index}-a/_doc/new?refresh=true`, { n: 1 });
        const reader = await open(`${proxy.endpoint}/${index}-a`, "source");
        expect(await reader.lookUp!([{ id: "new" }, { id: "none" }], {}, { signal: calm() })).toMatchObject([
          { state: "wanted" },
          { state: "absent" },
        ]);
      });

      test("a version that cannot sort by the place in a view is refused by its name and version", async () => {
        const { index } = testIndex(url);
        await using proxy = await startProxy(url);
        const older = { version: { distribution: "opensearch", number: "2.19.0" } };
        proxy.answer = ({ path }) =>
          path === "/"
            ? { status: 200, genuine: false, body: older }
            : { status: 406, genuine: false, body: { error: "Content-Type header is not supported", status: 406 } };
        for (const role of ["source", "target"] as const) {
          const refused = await rejection(open(`${proxy.endpoint}/${index}`, role));
          expect(refused).toMatchObject({ code: "CONNECTION_FAILED", retryable: false });
          expect(refused.message).toMatch(/is OpenSearch 2\.19\.0, which .*; use OpenSearch 3\.3 or newer/);
        }
      });
    });
  },
);
