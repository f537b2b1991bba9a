import type { P2PRecord } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, test } from "vitest";
import { call } from "./fresh-index.ts";
import { startProxy } from "./http-proxy.ts";
import { calm, open, read, testIndex, write } from "./opening.ts";

describeWithService("elasticsearch", "what became of each document", ({ url }) => {
  async function made(body: object): Promise<{ readonly index: string; readonly endpoint: string }> {
    const place = testIndex(url);
    await call(url, "PUT", `/${place.index}`, body);
    return place;
  }

  const failuresOf = async (endpoint: string, records: readonly P2PRecord[]) =>
    (await write(await open(endpoint), records)).failures.map(({ error }) => error);

  test("a document that a pipeline dropped is skipped and not written, as a record and in the raw lane", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(endpoint), [{ id: "a" }, { id: "b" }, { id: "c" }]);
    await using proxy = await startProxy(url);
    // As a server answers whose pipeline has the processor "drop", which is not among what can be had here.
    const item = (result: string) => ({ index: { status: result === "noop" ? 200 : 201, result } });
    proxy.answer = ({ path }) =>
      path.includes("/_bulk")
        ? { status: 200, body: { errors: false, items: [item("noop"), item("updated"), item("noop")] } }
        : undefined;
    const target = await open(`${proxy.endpoint}/${index}`);
    const records = [{ id: "a" }, { id: "b" }, { id: "c" }];
    expect(await write(target, records)).toMatchObject({ written: 1, skipped: 2, failures: [] });
    const source = await open(endpoint, "source");
    for await (const { documents } of source.rawSource!.read({}, { batchSize: 10, signal: calm() })) {
      expect(documents).toHaveLength(3);
      const result = await target.rawTarget!.write(documents, { mode: "upsert", signal: calm() });
      expect(result).toMatchObject({ written: 1, skipped: 2, failures: [] });
    }
  });

  test("a pipeline that is not there, and an alias without a write index, are no fault of the values", async () => {
    const { index, endpoint } = await made({});
    const [pipeline] = await failuresOf(`${endpoint}&pipeline=no-such-pipeline`, [{ id: "a" }]);
    expect(pipeline).toMatchObject({ code: "TARGET_NOT_WRITABLE", retryable: false });
    expect(pipeline!.message).toMatch(/no-such-pipeline.*option pipeline/);
    const other = await made({});
    const alias = `${index}-alias`;
    const actions = [index, other.index].map((index) => ({ add: { index, alias } }));
    await call(url, "POST", "/_aliases", { actions });
    const [unmarked] = await failuresOf(endpoint.replace(index, alias), [{ id: "a" }]);
    expect(unmarked).toMatchObject({ code: "TARGET_NOT_WRITABLE" });
    expect(unmarked!.message).toContain("is_write_index");
  });

  test("limits of the index are told with the setting that lifts them, and values that do not fit as such", async () => {
    const { endpoint } = await made({
      settings: { "index.mapping.nested_objects.limit": 2, "index.mapping.depth.limit": 2 },
      mappings: {
        dynamic: "true",
        properties: { n: { type: "nested" }, k: { type: "keyword" }, i: { type: "long" }, o: { type: "object" } },
      },
    });
    const errors = await failuresOf(endpoint, [
      { id: "nested", n: [{ a: 1 }, { a: 2 }, { a: 3 }] },
      { id: "deep", o: { a: { b: { c: 1 } } } },
      { id: "immense", k: "x".repeat(40_000) },
      { id: "misfit", i: "no number" },
      { id: "good", i: 5 },
    ]);
    expect(errors.map(({ code }) => code)).toEqual([
      "RECORD_TOO_LARGE",
      "WRITE_FAILED",
      "TYPE_MISMATCH",
      "TYPE_MISMATCH",
    ]);
    expect(errors[0]!.message).toContain("index.mapping.nested_objects.limit");
    expect(errors[1]!.message).toContain("index.mapping.depth.limit");
    expect(errors[2]!.message).toContain("ignore_above");
    expect(errors[3]!.message).toContain("change the value");
    expect(await read(await open(endpoint, "source"))).toEqual([{ id: "good", i: 5 }]);
  });

  test("an index that is full refuses the records with new fields alone, and says which setting it is", async () => {
    const { endpoint } = await made({
      settings: { "index.mapping.total_fields.limit": 3 },
      mappings: { dynamic: "true", properties: { a: { type: "long" }, b: { type: "long" }, c: { type: "long" } } },
    });
    const records = [
      { id: "fits", a: 1, b: 2 },
      { id: "new", d: 1 },
    ];
    const errors = await failuresOf(endpoint, records);
    expect(errors.map(({ code }) => code)).toEqual(["WRITE_FAILED"]);
    expect(errors[0]!.message).toMatch(/"new".*index\.mapping\.total_fields\.limit/);
    expect(await read(await open(endpoint, "source"))).toEqual([records[0]]);
  });

  test("a document that needs a routing value says so", async () => {
    const { endpoint } = await made({ mappings: { _routing: { required: true } } });
    const [error] = await failuresOf(endpoint, [{ id: "a" }]);
    expect(error).toMatchObject({ code: "WRITE_FAILED" });
    expect(error!.message).toContain("routing");
  });
});
