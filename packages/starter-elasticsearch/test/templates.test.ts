import type { P2PRecord } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, onTestFinished, test } from "vitest";
import { call } from "./fresh-index.ts";
import { calm, open, read, testIndex, write } from "./opening.ts";

interface MappingAnswer {
  readonly mappings: { readonly dynamic?: string; readonly properties?: Record<string, { type?: string }> };
}

describeWithService("elasticsearch", "an index that has to be made", ({ url }) => {
  /** A template for an index of its own. */
  async function templated(
    template: object,
    kind: "_index_template" | "_template" = "_index_template",
  ): Promise<{ readonly index: string; readonly endpoint: string }> {
    const place = testIndex(url);
    const path = `/${kind}/${place.index}`;
    const body = { index_patterns: [`${place.index}*`], ...(kind === "_template" ? template : { template }) };
    await call(url, "PUT", path, body);
    onTestFinished(async () => void (await call(url, "DELETE", path)));
    return place;
  }

  const mappingOf = async (index: string) =>
    (await call<Record<string, MappingAnswer>>(url, "GET", `/${index}/_mapping`))[index]!.mappings;

  test.each(["_index_template", "_template"] as const)("keeps the types of an %s that matches it", async (kind) => {
    const mappings = { properties: { k: { type: "keyword" }, place: { type: "geo_point" }, when: { type: "date" } } };
    const { index, endpoint } = await templated({ mappings, settings: { number_of_shards: 2 } }, kind);
    const records: P2PRecord[] = [
      { id: "a", k: "word", place: { lat: 1, lon: 2 }, when: new Date(5), more: "new" },
      { id: "b", k: "other", n: 5 },
    ];
    expect(await write(await open(endpoint), records)).toMatchObject({ written: 2, failures: [] });
    const { properties } = await mappingOf(index);
    expect(properties).toMatchObject(mappings.properties);
    expect(properties).toMatchObject({ more: { type: "text" }, n: { type: "double" } });
    const settings = await call<Record<string, { settings: { index: { number_of_shards: string } } }>>(
      url,
      "GET",
      `/${index}/_settings`,
    );
    expect(settings[index]!.settings.index.number_of_shards).toBe("2");
    expect((await read(await open(endpoint, "source"))).sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual(records);
  });

  test("is strict where its template is, and the records with other fields are told one by one", async () => {
    const mappings = { dynamic: "strict", properties: { k: { type: "keyword" } } };
    const { index, endpoint } = await templated({ mappings });
    const result = await write(await open(endpoint), [
      { id: "a", k: "x" },
      { id: "b", other: 1 },
      { id: "c", k: "y" },
    ]);
    expect(result.written).toBe(2);
    expect(result.failures.map(({ id, error }) => [id, error.code])).toEqual([["b", "TYPE_MISMATCH"]]);
    expect(await mappingOf(index)).toEqual(mappings);
  });

  test.each([3, 5, 7, 12])(
    "has no more fields than the %i that its template allows, and keeps the rest",
    async (limit) => {
      const { index, endpoint } = await templated({ settings: { "index.mapping.total_fields.limit": limit } });
      const records: P2PRecord[] = [
        { id: "a", one: 1, two: "2", three: new Date(3), list: [1, 2] },
        { id: "b", one: "x", four: 4n },
      ];
      const target = await open(endpoint);
      expect(await write(target, records)).toMatchObject({ written: 2, failures: [] });
      expect(await write(target, [{ id: "c", five: true }])).toMatchObject({ written: 1, failures: [] });
      const all = [...records, { id: "c", five: true }];
      const source = await open(endpoint, "source");
      expect(await read(source)).toEqual(all);
      expect(await read(source, { where: { one: "x" } })).toEqual([all[1]]);
      expect(await read(source, { where: { five: true } })).toEqual([all[2]]);
      expect((await mappingOf(index)).dynamic).toBe("false");
    },
  );

  test("writes the records that need no sidecar where it has no room, and refuses the others alone", async () => {
    const properties = { k: { type: "keyword" }, n: { type: "long" } };
    const { endpoint } = await templated({
      settings: { "index.mapping.total_fields.limit": 2 },
      mappings: { properties },
    });
    const result = await write(await open(endpoint), [
      { id: "a", k: "x", n: 1 },
      { id: "b", k: new Date(5) },
      { id: "c", k: "z" },
    ]);
    expect(result.written).toBe(2);
    expect(result.failures.map(({ id, error }) => [id, error.code])).toEqual([["b", "TARGET_NOT_WRITABLE"]]);
    expect(result.failures[0]!.error.message).toContain('"_p2p"');
  });

  test("holds what its fields cannot, so that a search finds it", async () => {
    const { index, endpoint } = testIndex(url);
    const target = await open(endpoint);
    await write(target, [{ id: "first", price: 1n, code: 1 }]);
    const records: P2PRecord[] = [
      { id: "text", price: "on request", code: ["a", 2] },
      { id: "large", price: 2n ** 70n, code: true },
      { id: "date", price: new Date(5) },
    ];
    await write(target, records);
    await call(url, "POST", `/${index}/_refresh`);
    const found = async (query: object) => {
      const answer = await call<{ hits: { hits: { _id: string }[] } }>(url, "POST", `/${index}/_search`, { query });
      return answer.hits.hits.map(({ _id }) => _id);
    };
    expect(await found({ term: { "_p2p.texts.price": "on request" } })).toEqual(["text"]);
    expect(await found({ term: { "_p2p.texts.price": String(2n ** 70n) } })).toEqual(["large"]);
    expect(await found({ prefix: { "_p2p.texts.price": "1970-01-01" } })).toEqual(["date"]);
    expect(await found({ term: { "_p2p.texts.code": "a" } })).toEqual(["text"]);
    expect(await found({ term: { "_p2p.texts.code": "true" } })).toEqual(["large"]);
    const source = await open(endpoint, "source");
    expect((await read(source)).slice(1)).toEqual(records);
    expect(await read(source, { where: { price: "on request" } })).toEqual([records[0]]);
  });

  test("has the types and analyzers of the index that others made and that it is a copy of", async () => {
    const from = testIndex(url);
    const properties = {
      n: { type: "text", fields: { keyword: { type: "keyword" } } },
      k: { type: "keyword", ignore_above: 100 },
      i: { type: "integer", ignore_malformed: true },
      t: { type: "text", analyzer: "folded" },
    };
    await call(url, "PUT", `/${from.index}`, {
      settings: {
        "index.mapping.total_fields.limit": 50,
        analysis: { analyzer: { folded: { type: "custom", tokenizer: "standard", filter: ["lowercase"] } } },
      },
      mappings: { properties },
    });
    const documents = { a: { n: 5, k: "x", i: "no number" }, b: { n: "five", i: 7, t: "Words" } };
    for (const [id, source] of Object.entries(documents)) {
      await call(url, "PUT", `/${from.index}/_doc/${id}?refresh=true`, source);
    }
    const to = testIndex(url);
    const source = await open(from.endpoint, "source");
    const target = await open(to.endpoint);
    for await (const { documents } of source.rawSource!.read({}, { batchSize: 1, signal: calm() })) {
      const result = await target.rawTarget!.write(documents, { mode: "upsert", signal: calm() });
      expect(result).toMatchObject({ written: 1, failures: [] });
    }
    expect((await mappingOf(to.index)).properties).toEqual((await mappingOf(from.index)).properties);
    expect(await read(await open(to.endpoint, "source"))).toEqual(await read(source));
    await call(url, "POST", `/${to.index}/_refresh`);
    const { hits } = await call<{ hits: { hits: { _id: string }[] } }>(url, "POST", `/${to.index}/_search`, {
      query: { match: { n: "FIVE" } },
    });
    expect(hits.hits.map(({ _id }) => _id)).toEqual(["b"]);
  });
});
