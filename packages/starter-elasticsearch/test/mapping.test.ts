import type { P2PRecord } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, test } from "vitest";
import { call } from "./fresh-index.ts";
import { open, read, testIndex, write } from "./opening.ts";

interface MappingAnswer {
  readonly [index: string]: {
    readonly mappings: { readonly dynamic?: string; properties: Record<string, { type?: string }> };
  };
}

describeWithService("elasticsearch", "the mapping", ({ url }) => {
  const mappingOf = async (index: string) =>
    (await call<MappingAnswer>(url, "GET", `/${index}/_mapping`))[index]!.mappings;
  const typesOf = async (index: string): Promise<Record<string, string>> =>
    Object.fromEntries(
      Object.entries((await mappingOf(index)).properties).map(([name, { type }]) => [name, type ?? "object"]),
    );

  test("an index is made with a type for each field, and gets more as they come", async () => {
    const { index, endpoint } = testIndex(url);
    const target = await open(endpoint);
    await write(target, [
      { id: 1, title: "a", nothing: null, list: [] },
      { id: 2, size: 5, list: [new Date(0)], meta: { any: ["thing"] } },
    ]);
    expect(await typesOf(index)).toEqual({
      id: "double",
      title: "text",
      size: "double",
      list: "date",
      meta: "flattened",
      _p2p: "object",
    });
    expect((await mappingOf(index)).dynamic).toBe("false");
    await write(target, [{ id: 3, nothing: 5n, flag: true, bytes: Uint8Array.of(1) }]);
    expect(await typesOf(index)).toMatchObject({ nothing: "long", flag: "boolean", bytes: "binary" });
  });

  test("what was written is found by Elasticsearch's own searches", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(`${endpoint}&refresh=wait_for`), [
      { id: "a", title: "The quick brown fox", tags: ["red", "fast"], n: 2n ** 60n, meta: { author: "Ann" } },
      { id: "b", title: "A lazy dog", tags: ["slow"], n: 5n, meta: { author: "Bob" } },
    ]);
    const find = async (query: unknown): Promise<string[]> => {
      const answer = await call<{ hits: { hits: { _id: string }[] } }>(url, "POST", `/${index}/_search`, { query });
      return answer.hits.hits.map(({ _id }) => _id);
    };
    expect(await find({ match: { title: "FOX" } })).toEqual(["a"]);
    expect(await find({ term: { "title.keyword": "A lazy dog" } })).toEqual(["b"]);
    expect(await find({ term: { "tags.keyword": "fast" } })).toEqual(["a"]);
    expect(await find({ range: { n: { gt: "1152921504606846975" } } })).toEqual(["a"]);
    expect(await find({ term: { "meta.author": "Bob" } })).toEqual(["b"]);
  });

  test("more fields than an index may have: the rest is kept, and not searched", async () => {
    const { index, endpoint } = testIndex(url);
    const wide = (id: string, prefix: string): P2PRecord => ({
      id,
      ...Object.fromEntries(Array.from({ length: 700 }, (_, i) => [`${prefix}${i}`, i % 2 === 0 ? i : `text ${i}`])),
    });
    const records = [wide("first", "a"), wide("second", "b"), wide("third", "c")];
    const target = await open(endpoint);
    for (const record of records) expect(await write(target, [record])).toMatchObject({ written: 1, failures: [] });
    const names = Object.keys((await mappingOf(index)).properties);
    expect(names.length).toBeLessThanOrEqual(1000);
    const source = await open(endpoint, "source");
    expect(await read(source)).toEqual(records);
    for (const name of ["a0", "b699", "c698", "c699"]) {
      const value = records.find((record) => name in record)![name] as string | number;
      expect((await read(source, { where: { [name]: value } })).length, name).toBe(1);
    }
  });

  test("several writers at once make one index", async () => {
    const { endpoint } = testIndex(url);
    const targets = await Promise.all(Array.from({ length: 4 }, () => open(endpoint)));
    const records = targets.map(
      (_, i): P2PRecord => ({ id: `w${i}`, shared: i % 2 === 0 ? i : `text ${i}`, [`f${i}`]: i }),
    );
    const results = await Promise.all(targets.map((target, i) => write(target, [records[i]!])));
    for (const result of results) expect(result).toMatchObject({ written: 1, failures: [] });
    const found = await read(await open(endpoint, "source"), { orderBy: "id" });
    expect(found).toEqual(records);
  });

  test("an index that is deleted between two transfers is made again, with types", async () => {
    const { index, endpoint } = testIndex(url);
    const target = await open(endpoint);
    const record = { id: "a", at: new Date(5), big: 5n };
    await write(target, [record]);
    await call(url, "DELETE", `/${index}`);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await write(target, [record]);
    expect(await typesOf(index)).toMatchObject({ at: "date", big: "long" });
    expect(await read(await open(endpoint, "source"))).toEqual([record]);
  });

  test("a field whose type somebody else chose first keeps it", async () => {
    const { index, endpoint } = testIndex(url);
    const target = await open(endpoint);
    await write(target, [{ id: "a" }]);
    await call(
      url,
      "PUT",
      `/${index}/_mapping`,
      { properties: { price: { type: "scaled_float", scaling_factor: 100 } } },
      [400],
    );
    await call(url, "PUT", `/${index}/_mapping`, { properties: { size: { type: "integer" } } });
    await write(target, [{ id: "b", size: 5 }]);
    expect((await typesOf(index)).size).toBe("integer");
    expect(await read(await open(endpoint, "source"), { where: { size: 5 } })).toEqual([{ id: "b", size: 5 }]);
  });

  test("shards and replicas are as asked", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(`${endpoint}&shards=3`), [{ id: "a" }]);
    const settings = await call<Record<string, { settings: { index: Record<string, string> } }>>(
      url,
      "GET",
      `/${index}/_settings`,
    );
    expect(settings[index]!.settings.index).toMatchObject({ number_of_shards: "3", number_of_replicas: "0" });
  });
});
