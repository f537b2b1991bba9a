import { randomUUID } from "node:crypto";
import {
  type IdRef,
  idKey,
  type LookUpOutcome,
  type P2PDataTransferService,
  type P2PId,
  type P2PQuery,
  type P2PRecord,
  TaggedValue,
} from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { call } from "./fresh-index.ts";
import { startProxy } from "./http-proxy.ts";
import { calm, open, read, readBatches, rejection, testIndex, write } from "./opening.ts";

const lookUp = (
  service: P2PDataTransferService,
  ids: readonly (P2PId | IdRef)[],
  query: P2PQuery = {},
): Promise<readonly LookUpOutcome[]> => {
  const isRef = (id: P2PId | IdRef): id is IdRef => typeof id === "object" && Object.hasOwn(id, "id");
  const refs = ids.map((id): IdRef => (isRef(id) ? id : { id }));
  return service.lookUp!(refs, query, { signal: calm() });
};

const states = (outcomes: readonly LookUpOutcome[]): string[] => outcomes.map(({ state }) => state);

const VALUES = [
  ...["", "a", "Five", "5", "z".repeat(300), "2024-01-01T00:00:00.000Z", "true"],
  ...[0, -0, 5, 2.5, -1, 2 ** 60, Number.POSITIVE_INFINITY, 5n, 2n ** 62n, 2n ** 80n, true, false, null],
  ...[new Date(0), new Date("2024-01-01"), new Date(-1), Uint8Array.of(1, 2)],
];

describeWithService("elasticsearch", "looking records up", ({ url }) => {
  test("wanted, unwanted and absent, each in its place, with just the fields of the query", async () => {
    const { endpoint } = testIndex(url);
    const records = [
      { id: "a", type: "doc", n: 1, text: "x" },
      { id: "b", type: "doc", n: 2, text: "y" },
      { id: "c", type: "other", n: 3 },
    ];
    const target = await open(endpoint);
    await write(target, records);
    const source = await open(endpoint, "source");
    expect(
      await lookUp(source, ["c", "none", "b", "a", "b"], { type: "doc", where: { n: { gte: 2 } }, fields: ["n"] }),
    ).toEqual([
      { state: "unwanted" },
      { state: "absent" },
      { state: "wanted", record: { id: "b", n: 2 } },
      { state: "unwanted" },
      { state: "wanted", record: { id: "b", n: 2 } },
    ]);
    expect(await lookUp(source, ["a"])).toEqual([{ state: "wanted", record: records[0] }]);
    expect(await lookUp(source, [])).toEqual([]);
  });

  test("ids of every kind are found by any form of them, and those that no document can have are absent", async () => {
    const { endpoint } = testIndex(url);
    const ids: P2PId[] = [
      "text",
      1,
      2n ** 70n,
      true,
      new Date(5),
      Uint8Array.of(1, 255),
      new TaggedValue("mongodb:ObjectId", "u-1"),
      { a: 1 },
    ];
    await write(
      await open(endpoint),
      ids.map((id, n) => ({ id, n })),
    );
    const source = await open(endpoint, "source");
    const outcomes = await lookUp(
      source,
      ids.map((id) => ({ id })),
    );
    expect(outcomes).toEqual(ids.map((id, n) => ({ state: "wanted", record: { id, n } })));
    const texts = ids.map(idKey);
    expect(await lookUp(source, texts)).toEqual(outcomes);
    expect(await lookUp(source, [1n])).toEqual([{ state: "wanted", record: { id: 1, n: 1 } }]);
    expect(states(await lookUp(source, ["x".repeat(513), "é".repeat(300), "", "\ud800"]))).toEqual(
      Array(4).fill("absent"),
    );
  });

  test("what was acknowledged a moment ago is seen, and what was taken out is not", async () => {
    const { endpoint } = testIndex(url);
    const target = await open(endpoint);
    for (let n = 0; n < 5; n++) {
      await write(target, [{ id: "a", n }]);
      expect(await lookUp(target, ["a"], { where: { n } })).toEqual([{ state: "wanted", record: { id: "a", n } }]);
    }
    await target.deleteFromTarget!([{ id: "a" }], { signal: calm() });
    expect(states(await lookUp(target, ["a"]))).toEqual(["absent"]);
  });

  test("10,000 ids at once take few requests, also where an index gives few documents at a time", async () => {
    const { index, endpoint } = testIndex(url);
    const target = await open(endpoint);
    await write(
      target,
      Array.from({ length: 10_000 }, (_, n) => ({ id: `r${n}`, n, text: "t".repeat(n % 100) })),
    );
    await call(url, "PUT", `/${index}/_settings`, { "index.max_result_window": 700 });
    await using proxy = await startProxy(url);
    let requests = 0;
    proxy.onRequest = () => void requests++;
    const source = await open(`${proxy.endpoint}/${index}`, "source");
    const ids = Array.from({ length: 20_000 }, (_, n) => `r${19_999 - n}`);
    const outcomes = await lookUp(source, ids, { where: { n: { lt: 9000 } } });
    expect(states(outcomes)).toEqual(
      ids.map((id) => (Number(id.slice(1)) < 9000 ? "wanted" : Number(id.slice(1)) < 10_000 ? "unwanted" : "absent")),
    );
    expect(outcomes[19_999]).toMatchObject({ record: { id: "r0", n: 0 } });
    expect(requests).toBeLessThan(100);
  });

  test("where means the same as in reading, for every operator and kind of value", async () => {
    const ours = testIndex(url);
    const field = fc.constantFrom("f", "g", "h", "none", "a.b");
    const value = fc.constantFrom(...VALUES);
    const written = fc.sample(
      fc.record({ f: value, g: fc.oneof(value, fc.array(value, { maxLength: 2 })), h: value, "a.b": value }),
      { numRuns: 60, seed: 15 },
    );
    const records = written.map((fields, n) => ({ id: n % 2 === 0 ? `r${n}` : n, ...fields }) as P2PRecord);
    await write(await open(ours.endpoint), records);
    const foreign = testIndex(url);
    const properties = { f: { type: "keyword", ignore_above: 10 }, g: { type: "text" }, h: { type: "keyword" } };
    await call(url, "PUT", `/${foreign.index}`, { settings: { number_of_replicas: 0 }, mappings: { properties } });
    for (const [n, given] of ["5", 5, true, "Five", ["a", "5"], null, "z".repeat(300), 2.5].entries()) {
      await call(url, "PUT", `/${foreign.index}/_doc/d${n}?refresh=true`, { f: given, g: given, h: given });
    }
    const scalar = fc.constantFrom(...VALUES.filter((one) => one !== null));
    const condition = fc.oneof(
      fc.constantFrom(...VALUES),
      fc.record({ ne: fc.constantFrom(...VALUES) }),
      ...["gt", "gte", "lt", "lte"].map((operator) => scalar.map((one) => ({ [operator]: one }))),
      fc.record({ in: fc.array(fc.constantFrom(...VALUES), { maxLength: 4 }) }),
      fc.record({ exists: fc.boolean() }),
      fc.record({ prefix: fc.constantFrom("", "F", "z", "5", "z".repeat(290)) }),
    );
    const idCondition = fc.oneof(
      ...["gt", "lte"].map((operator) => fc.constantFrom("r2", 7, 7n).map((one) => ({ [operator]: one }))),
      fc.constantFrom<unknown>("r2", "7", 7, { ne: 7n }, { in: ["d1", 7, "r4"] }, { prefix: "r" }),
    );
    for (const { endpoint } of [ours, foreign]) {
      const source = await open(endpoint, "source");
      const all = await read(source);
      const asked = [...all.map(({ id }) => id), "absent"];
      const where = fc.oneof(
        fc.tuple(field, condition).map(([name, one]) => ({ [name]: one })),
        fc.tuple(field, condition, field, condition).map(([a, one, b, other]) => ({ [a]: one, [b]: other })),
        idCondition.map((one) => ({ id: one })),
      );
      await fc.assert(
        fc.asyncProperty(where, async (conditions) => {
          const query = { where: conditions } as P2PQuery;
          const given = new Map((await read(source, query)).map((record) => [idKey(record.id), record]));
          const outcomes = await lookUp(source, asked, query);
          expect(outcomes).toEqual(
            asked.map((id) => {
              const record = given.get(idKey(id));
              if (record !== undefined) return { state: "wanted", record };
              return { state: id === "absent" ? "absent" : "unwanted" };
            }),
          );
        }),
        { numRuns: 60 },
      );
    }
  });

  test("a native query and a part are and-ed, and a limit or an offset are refused", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(endpoint), [
      { id: "a", body: "odd one" },
      { id: "b", body: "even one" },
    ]);
    const source = await open(endpoint, "source");
    const native: P2PQuery = { native: { elasticsearch: { query: { match: { body: "ODD" } } } } };
    expect(states(await lookUp(source, ["a", "b", "c"], native))).toEqual(["wanted", "unwanted", "absent"]);
    expect(states(await lookUp(source, ["a", "b"], { partition: { from: 1 } }))).toEqual(["unwanted", "wanted"]);
    for (const query of [{ limit: 5 }, { offset: 1 }, { limit: 0 }]) {
      expect(await rejection(lookUp(source, ["a"], query))).toMatchObject({ code: "UNSUPPORTED_QUERY" });
    }
    const bad = { native: { elasticsearch: { query: { no_such_query: {} } } } } as unknown as P2PQuery;
    expect(await rejection(lookUp(source, ["a"], bad))).toMatchObject({ code: "INVALID_QUERY" });
    await call(url, "DELETE", `/${index}`);
    expect(await rejection(lookUp(source, ["a"]))).toMatchObject({ code: "SOURCE_NOT_FOUND" });
  });

  test("several indices and routings: reading and look-ups tell where a record lies", async () => {
    const { index, endpoint } = testIndex(url);
    for (const suffix of ["x", "y"]) {
      onTestFinished(async () => void (await call(url, "DELETE", `/${index}-${suffix}`)));
      const settings = { number_of_shards: 3, number_of_replicas: 0 };
      await call(url, "PUT", `/${index}-${suffix}`, { settings });
    }
    await call(url, "PUT", `/${index}-x/_doc/same?refresh=true`, { n: 1 });
    await call(url, "PUT", `/${index}-y/_doc/same?refresh=true`, { n: 2 });
    await call(url, "PUT", `/${index}-y/_doc/child?routing=parent&refresh=true`, { n: 3 });
    const source = await open(endpoint.replace(index, `${index}-*`), "source");
    for (const query of [{}, { orderBy: "n" }] as P2PQuery[]) {
      const located = (await readBatches(source, query)).flatMap(({ records, locators }) =>
        records.map(({ n }, i) => [n, locators![i]]),
      );
      expect(new Map(located as [number, unknown][])).toEqual(
        new Map<number, unknown>([
          [1, { index: `${index}-x` }],
          [2, { index: `${index}-y` }],
          [3, { index: `${index}-y`, routing: "parent" }],
        ]),
      );
    }
    const at = (suffix: string) => ({ id: "same", locator: { index: `${index}-${suffix}` } });
    const outcomes = await lookUp(source, [at("x"), at("y"), "child", { id: "same", locator: "foreign" }]);
    expect(outcomes).toMatchObject([
      { record: { n: 1 } },
      { record: { n: 2 } },
      { record: { n: 3 } },
      { state: "wanted" },
    ]);
    expect(outcomes[2]).toMatchObject({ locator: { index: `${index}-y`, routing: "parent" } });
    // One that lies elsewhere now is not taken for absent.
    expect(
      await lookUp(source, [{ id: "child", locator: { index: `${index}-x` } }], { where: { n: 3 } }),
    ).toMatchObject([{ state: "wanted" }]);
    const plain = await open(endpoint.replace(index, `${index}-x`), "source");
    expect((await readBatches(plain)).every(({ locators }) => locators === undefined)).toBe(true);
  });

  test("who may not refresh is told by the realtime get what a search does not show yet", async () => {
    const { index } = testIndex(url);
    await call(url, "PUT", `/${index}`, { settings: { number_of_replicas: 0, refresh_interval: "-1" } });
    for (const id of ["old", "changed", "gone"]) await call(url, "PUT", `/${index}/_doc/${id}`, { n: 1 });
    await call(url, "POST", `/${index}/_refresh`);
    await call(url, "PUT", `/${index}/_doc/changed`, { n: 2 });
    await call(url, "PUT", `/${index}/_doc/new`, { n: 2 });
    await call(url, "DELETE", `/${index}/_doc/gone`);
    await using proxy = await startProxy(url);
    const denied = { error: { type: "security_exception", reason: "no" } };
    proxy.answer = ({ path }) => (path.endsWith("/_refresh") ? { status: 403, body: denied } : undefined);
    const source = await open(`${proxy.endpoint}/${index}`, "source");
    const ids = ["old", "changed", "new", "gone", "none"];
    const outcomes = await lookUp(source, ids);
    expect(states(outcomes)).toEqual(["wanted", "failed", "failed", "failed", "absent"]);
    expect(outcomes[2]).toMatchObject({ error: { code: "BUSY", retryable: true } });
    await call(url, "POST", `/${index}/_refresh`);
    expect(states(await lookUp(source, ids))).toEqual(["wanted", "wanted", "wanted", "absent", "absent"]);
    // A document of an unknown routing is found by a search alone.
    await call(url, "PUT", `/${index}/_doc/routed?routing=r&refresh=true`, { n: 1 });
    const [routed, none] = await lookUp(source, ["routed", "none"]);
    expect(routed).toMatchObject({ state: "wanted", locator: { routing: "r" } });
    expect(none).toMatchObject({ state: "failed", error: { retryable: false } });
  });

  test("an answer in part, or a part of the index that fails, is no absence", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(endpoint), [{ id: "a" }]);
    await using proxy = await startProxy(url);
    const source = await open(`${proxy.endpoint}/${index}`, "source");
    for (const part of [{ timed_out: true }, { _shards: { total: 2, successful: 1, failed: 1 } }]) {
      proxy.answer = ({ path }) =>
        path.startsWith("/_search") ? { status: 200, body: { ...part, hits: { hits: [] } } } : undefined;
      expect(await rejection(lookUp(source, ["a"]))).toMatchObject({ code: "BUSY", retryable: true });
    }
    proxy.answer = ({ path }) =>
      path.startsWith("/_search")
        ? { status: 503, body: { error: { type: "search_phase_execution_exception", reason: "all shards failed" } } }
        : undefined;
    expect(await rejection(lookUp(source, ["a"]))).toMatchObject({ retryable: true });
  });

  test("an abort rejects soon with its reason", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(endpoint), [{ id: "a" }]);
    await using proxy = await startProxy(url);
    const source = await open(`${proxy.endpoint}/${index}`, "source");
    const controller = new AbortController();
    const reason = new Error(randomUUID());
    proxy.onRequest = ({ path }) => {
      if (path.startsWith("/_search")) {
        proxy.silent = true;
        controller.abort(reason);
      }
    };
    expect(await rejection(source.lookUp!([{ id: "a" }], {}, { signal: controller.signal }))).toBe(reason);
    expect(await rejection(source.lookUp!([{ id: "a" }], {}, { signal: controller.signal }))).toBe(reason);
  });
});
