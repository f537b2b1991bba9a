import { parseEndpoint } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { describe, expect, onTestFinished, test } from "vitest";
import { elasticsearchStarter } from "../src/index.ts";
import { isHidden } from "../src/mapping/hidden-fields.ts";
import { call } from "./fresh-index.ts";
import { startProxy } from "./http-proxy.ts";
import { calm, open, read, rejection, testIndex, write } from "./opening.ts";

/** What documents do not show although the mapping names it. The tests hold for Elasticsearch 8 and 9 alike. */
describeWithService("elasticsearch", "what documents do not show", ({ url, version }) => {
  async function made(body: object, documents: Record<string, unknown> = {}) {
    const place = testIndex(url);
    await call(url, "PUT", `/${place.index}`, body);
    for (const [id, source] of Object.entries(documents)) {
      await call(url, "PUT", `/${place.index}/_doc/${id}?refresh=true`, source);
    }
    return place;
  }

  const vectors = {
    mappings: {
      properties: {
        v: { type: "dense_vector", dims: 3, similarity: "l2_norm" },
        o: { properties: { w: { type: "dense_vector", dims: 2, similarity: "l2_norm" } } },
        c: { type: "dense_vector", dims: 3, similarity: "cosine" },
        n: { type: "long" },
      },
    },
  };

  test("vectors come along, whole and by name, in the order of changes and in an order of values", async () => {
    const documents = { a: { v: [0.1, 0.2, 0.3], n: 2, o: { w: [1, 2] } }, b: { v: [-1, 0.25, 7], n: 1 } };
    const { endpoint } = await made(vectors, documents);
    const source = await open(endpoint, "source");
    const [a, b] = [
      { id: "a", ...documents.a },
      { id: "b", ...documents.b },
    ];
    expect(await read(source)).toEqual([a, b]);
    expect(await read(source, { orderBy: "n" })).toEqual([b, a]);
    expect(await read(source, { orderBy: "v" })).toHaveLength(2);
    expect(await read(source, { fields: ["v"] })).toEqual([
      { id: "a", v: a.v },
      { id: "b", v: b.v },
    ]);
    expect(await read(source, { fields: ["o"], where: { n: 2 } })).toEqual([{ id: "a", o: a.o }]);
    const raw = [];
    for await (const { documents } of source.rawSource!.read({}, { batchSize: 10, signal: calm() })) {
      raw.push(...documents.map((document) => source.rawSource!.decode(document)));
    }
    expect(raw).toEqual([a, b]);
  });

  test("vectors that are written come back with all their digits", async () => {
    const { endpoint } = await made(vectors);
    const records = [
      { id: "a", v: [0.1, 0.123456789012, 3] },
      { id: "b", v: [0.5, 0.25, 1 / 3], o: { w: [Math.fround(0.1), 1] } },
      { id: "c", v: [0.5, 0.1, 3], c: [0.1, 0.2, 0.3] },
    ];
    expect(await write(await open(endpoint), records)).toMatchObject({ written: 3, failures: [] });
    expect(await read(await open(endpoint, "source"))).toEqual(records);
  });

  test("a source that leaves fields out of its documents is refused by their names, unless others are asked for", async () => {
    const { endpoint, index } = await made(
      { mappings: { _source: { excludes: ["secret", "meta.*"] }, properties: { secret: { type: "keyword" } } } },
      { a: { secret: "s", meta: { x: 1 }, title: "t" } },
    );
    const source = await open(endpoint, "source");
    const asked = [
      {},
      { where: { secret: "s" }, fields: ["title"] },
      { fields: ["meta"] },
      { fields: ["title"], orderBy: "secret" },
    ];
    for (const query of asked) {
      const error = await rejection(read(source, query));
      expect(error.code).toBe("UNSUPPORTED_QUERY");
      expect(error.message).toContain("secret, meta.*");
      expect(error.message).toContain(index);
    }
    expect((await rejection(source.count({}, calm()))).code).toBe("UNSUPPORTED_QUERY");
    expect(await read(source, { fields: ["title"] })).toEqual([{ id: "a", title: "t" }]);
    const some = await made({ mappings: { _source: { includes: ["t*"] } } }, { a: { title: "t", body: "b" } });
    const partial = await open(some.endpoint, "source");
    expect((await rejection(read(partial))).message).toContain("all but t*");
    expect(await read(partial, { fields: ["title"] })).toEqual([{ id: "a", title: "t" }]);
    const context = { role: "target", signal: calm(), connectTimeoutMs: 10_000 } as const;
    const told = await elasticsearchStarter.describeMapping!(
      parseEndpoint(endpoint),
      [{ id: "a", secret: "s", t: 1 }],
      context,
    );
    expect(told.map(({ field, lossless }) => [field, lossless])).toEqual([
      ["id", true],
      ["secret", false],
      ["t", true],
    ]);
  });

  test("a target that puts documents together from its index refuses what it would not give back", async () => {
    const properties = { k: { type: "keyword" }, n: { type: "long" }, d: { type: "date" }, o: { properties: {} } };
    const settings = version.startsWith("8.") ? {} : { "index.mapping.source.mode": "synthetic" };
    const source = version.startsWith("8.") ? { _source: { mode: "synthetic" } } : {};
    const { endpoint } = await made({ settings, mappings: { ...source, properties } });
    const kept = { id: "kept", k: "x", n: 5, d: new Date(5) };
    const result = await write(await open(endpoint), [
      { id: "list", k: ["b", "a", "b"] },
      { id: "null", k: null },
      kept,
      { id: "empty", o: {} },
      { id: "inner", o: { k: ["a"] } },
      { id: "typed", k: new Date(5) },
    ]);
    expect(result.written).toBe(1);
    expect(result.failures.map(({ id, error }) => [id, error.code])).toEqual(
      ["list", "null", "empty", "inner", "typed"].map((id) => [id, "TYPE_MISMATCH"]),
    );
    expect(result.failures[0]!.error.message).toMatch(/synthetic.*a list in "k"/);
    const context = { role: "target", signal: calm(), connectTimeoutMs: 10_000 } as const;
    const sample = [{ id: "list", n: 5, k: ["b", "a"] }];
    const told = await elasticsearchStarter.describeMapping!(parseEndpoint(endpoint), sample, context);
    expect(told.map(({ field, lossless }) => [field, lossless])).toEqual([
      ["id", true],
      ["n", true],
      ["k", false],
    ]);
    expect(told[2]!.note).toContain("synthetic");
    expect(await read(await open(endpoint, "source"))).toEqual([kept]);
  });

  test("an index that does not number its changes is refused, by its setting and by what documents say", async () => {
    const { endpoint, index } = await made({}, { a: { n: 1 } });
    await using proxy = await startProxy(url);
    const place = `${proxy.endpoint}/${index}`;
    // As Elasticsearch 9.4 is documented to answer, which cannot be had here.
    proxy.answer = ({ path }) =>
      path.includes("/_settings")
        ? { status: 200, body: { [index]: { settings: { index: { disable_sequence_numbers: "true" } } } } }
        : undefined;
    const error = await rejection(open(place, "source"));
    expect(error.code).toBe("UNSUPPORTED_QUERY");
    expect(error.message).toContain("disable_sequence_numbers");
    proxy.answer = ({ path, body }) =>
      path.startsWith("/_search") && String(body).includes("seq_no_primary_term")
        ? {
            status: 200,
            body: { hits: { hits: [{ _index: index, _id: "a", _seq_no: -2, _source: { n: 1 }, sort: [0] }] } },
          }
        : undefined;
    expect((await rejection(read(await open(place, "source")))).message).toContain("disable_sequence_numbers");
    proxy.answer = () => undefined;
    expect(await read(await open(endpoint, "source"))).toHaveLength(1);
  });

  test("an identity is of the indices behind a name, and of this making of them", async () => {
    const { index, endpoint } = testIndex(url);
    const target = await open(endpoint);
    const before = await target.identity!(calm());
    expect(before.incarnation).toBeUndefined();
    expect(before.thing).toContain(index);
    await write(target, [{ id: "a" }]);
    const first = await target.identity!(calm());
    expect(first).toMatchObject({ thing: before.thing });
    expect(first.incarnation).toMatch(/.{20}/);
    const alias = `${index}-alias`;
    await call(url, "POST", "/_aliases", { actions: [{ add: { index, alias } }] });
    for (const name of [alias, `${index}*`]) {
      expect(await (await open(endpoint.replace(index, name), "source")).identity!(calm()), name).toEqual(first);
    }
    await write(target, [{ id: "b", more: 1 }]);
    expect(await target.identity!(calm())).toEqual(first);
    await call(url, "DELETE", `/${index}`);
    expect(await target.identity!(calm())).toEqual(before);
    await call(url, "PUT", `/${index}`, {});
    const second = await target.identity!(calm());
    expect(second.thing).toBe(first.thing);
    expect(second.incarnation).not.toBe(first.incarnation);
    const other = `${index}-b`;
    onTestFinished(async () => void (await call(url, "DELETE", `/${other}`)));
    await call(url, "PUT", `/${other}`, {});
    const both = await (await open(endpoint.replace(index, `${other},${index}`), "source")).identity!(calm());
    expect(both.thing).toContain(`${index},${other}`);
    expect(both.incarnation).toContain(second.incarnation!);
  });
});

describe("patterns of fields that are left out", () => {
  test.each([
    ["secret", { includes: [], excludes: ["secret"] }, true],
    ["secret.inner", { includes: [], excludes: ["secret"] }, true],
    ["secrets", { includes: [], excludes: ["secret"] }, false],
    ["meta", { includes: [], excludes: ["meta.*"] }, true],
    ["a.b.c", { includes: [], excludes: ["*.c"] }, true],
    ["title", { includes: ["t*"], excludes: [] }, false],
    ["body", { includes: ["t*"], excludes: [] }, true],
    ["body", { includes: ["*"], excludes: [] }, false],
    ["(", { includes: [], excludes: ["("] }, true],
  ])("%s, %j: %s", (name, hidden, expected) => {
    expect(isHidden(name, hidden)).toBe(expected);
  });
});
