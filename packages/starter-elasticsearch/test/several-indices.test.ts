import { matches, type P2PQuery, type P2PRecord, parseQuery } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, onTestFinished, test } from "vitest";
import { call } from "./fresh-index.ts";
import { calm, open, read, rejection, testIndex, write } from "./opening.ts";

describeWithService("elasticsearch", "several indices as one source", ({ url }) => {
  /** Makes an index of each mapping, with its documents, and gives the endpoint of all of them. */
  async function made(
    indices: Readonly<Record<string, { properties: object; dynamic?: boolean; documents: Record<string, unknown> }>>,
  ): Promise<{ readonly endpoint: string; readonly nameOf: (suffix: string) => string }> {
    const { index, endpoint } = testIndex(url);
    for (const [suffix, { properties, dynamic, documents }] of Object.entries(indices)) {
      const name = `${index}-${suffix}`;
      onTestFinished(async () => void (await call(url, "DELETE", `/${name}`)));
      const mappings = { ...(dynamic === undefined ? {} : { dynamic }), properties };
      await call(url, "PUT", `/${name}`, { settings: { number_of_replicas: 0 }, mappings });
      for (const [id, source] of Object.entries(documents)) {
        await call(url, "PUT", `/${name}/_doc/${id}?refresh=true`, source);
      }
    }
    return { endpoint: endpoint.replace(index, `${index}-*`), nameOf: (suffix) => `${index}-${suffix}` };
  }

  const idsOf = (records: readonly P2PRecord[]) => records.map(({ id }) => id).sort();

  test("a field that is date here and date_nanos there is a date in both, and where finds both", async () => {
    const { endpoint } = await made({
      millis: {
        properties: { "@timestamp": { type: "date" } },
        documents: { a: { "@timestamp": "2024-01-02T00:00:00Z" }, old: { "@timestamp": "2020-01-02T00:00:00Z" } },
      },
      nanos: {
        properties: { "@timestamp": { type: "date_nanos" } },
        documents: { b: { "@timestamp": "2024-01-03T00:00:00Z" }, older: { "@timestamp": "2019-01-03T00:00:00Z" } },
      },
    });
    const source = await open(endpoint, "source");
    const query: P2PQuery = { where: { "@timestamp": { gte: new Date("2024-01-01") } } };
    expect(idsOf(await read(source, query))).toEqual(["a", "b"]);
    expect(await source.count(query, calm())).toBe(2);
    expect(await read(source, { where: { id: "b" } })).toEqual([
      { id: "b", "@timestamp": new Date("2024-01-03T00:00:00Z") },
    ]);
    // Milliseconds and nanoseconds are no order for the server.
    const sorted = await read(source, { orderBy: "@timestamp" }, { batchSize: 1 });
    expect(sorted.map(({ id }) => id)).toEqual(["older", "old", "a", "b"]);
  });

  test("where and orderBy mean the same in each of them, whatever types a field has", async () => {
    const values = ["5", 5, "Five", 2.5, true, null, ["5"], "2024-01-01", "z".repeat(300)];
    const documents = (prefix: string, usable: (value: unknown) => boolean) =>
      Object.fromEntries(values.filter(usable).map((value, i) => [`${prefix}${i}`, { f: value }]));
    const { endpoint } = await made({
      keyword: { properties: { f: { type: "keyword" } }, documents: documents("k", () => true) },
      text: { properties: { f: { type: "text" } }, documents: documents("t", () => true) },
      long: { properties: { f: { type: "long" } }, documents: documents("l", (value) => value === 5 || value === "5") },
      double: {
        properties: { f: { type: "double" } },
        documents: documents("d", (value) => typeof value === "number"),
      },
      date: { properties: { f: { type: "date" } }, documents: documents("e", (value) => value === "2024-01-01") },
      nothing: { dynamic: false, properties: {}, documents: documents("n", () => true) },
      other: { properties: { g: { type: "long" } }, documents: { o: { g: 1 } } },
    });
    const source = await open(endpoint, "source");
    const all = await read(source);
    expect(all).toHaveLength(9 * 3 + 2 + 2 + 1 + 1);
    const conditions = [
      ...["5", 5, 2.5, "Five", true, new Date("2024-01-01"), "z".repeat(300)].flatMap((value) => [
        value,
        { ne: value },
        { gt: value },
        { lte: value },
        { in: [value, null] },
      ]),
      ...[null, { exists: true }, { exists: false }, { prefix: "F" }, { prefix: "" }],
    ];
    for (const condition of conditions) {
      const query = { where: { f: condition } } as P2PQuery;
      const expected = all.filter((record) => matches(parseQuery(query).conditions, record));
      expect(idsOf(await read(source, query)), JSON.stringify(condition)).toEqual(idsOf(expected));
      expect(await source.count(query, calm()), JSON.stringify(condition)).toBe(expected.length);
    }
    const ids = (await read(source, { orderBy: ["f", "id"] }, { batchSize: 4 })).map(({ id }) => id);
    expect([...ids].sort()).toEqual(idsOf(all));
    expect(ids.indexOf("l1")).toBeLessThan(ids.indexOf("k2"));
  });

  test("an index where the field is not mapped does not stop an order of the server", async () => {
    const { endpoint } = await made({
      a: { properties: { n: { type: "long" } }, documents: { x: { n: 2 }, y: { n: 1 } } },
      b: { properties: { m: { type: "keyword" } }, documents: { z: { m: "m" } } },
    });
    const sorted = await read(await open(endpoint, "source"), { orderBy: "n" });
    expect(sorted.map(({ id }) => id)).toEqual(["z", "y", "x"]);
  });

  test("two indices of this package, with one field of two types, keep their types on every way", async () => {
    const { index, endpoint } = testIndex(url);
    const [first, second, copy] = ["p", "q", "copy"].map((suffix) => `${index}-${suffix}`) as [string, string, string];
    for (const name of [first, second, copy])
      onTestFinished(async () => void (await call(url, "DELETE", `/${name}`, undefined, [404])));
    const dates = [{ id: "a", v: new Date(5), w: 1n }];
    const texts = [{ id: "b", v: "1970-01-01T00:00:00.005Z", w: Uint8Array.of(1, 2, 3) }];
    await write(await open(endpoint.replace(index, first)), dates);
    await write(await open(endpoint.replace(index, second)), texts);
    const source = await open(endpoint.replace(index, `${first},${second}`), "source");
    expect((await read(source)).sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual([...dates, ...texts]);
    expect(await read(source, { where: { v: new Date(5) } })).toEqual(dates);
    expect(await read(source, { where: { v: "1970-01-01T00:00:00.005Z" } })).toEqual(texts);
    const target = await open(endpoint.replace(index, copy));
    for await (const { documents } of source.rawSource!.read({}, { batchSize: 10, signal: calm() })) {
      const result = await target.rawTarget!.write(documents, { mode: "upsert", signal: calm() });
      expect(result).toMatchObject({ written: documents.length, failures: [] });
    }
    const copied = await read(await open(endpoint.replace(index, copy), "source"));
    expect(copied.sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual([...dates, ...texts]);
  });

  test("an alias is written to by the mapping of its write index, and read back from that", async () => {
    const { endpoint, nameOf } = await made({
      old: { properties: { v: { type: "date" } }, documents: {} },
      new: { dynamic: false, properties: { k: { type: "keyword" } }, documents: {} },
    });
    const alias = nameOf("alias");
    await call(url, "POST", "/_aliases", {
      actions: [
        { add: { index: nameOf("old"), alias } },
        { add: { index: nameOf("new"), alias, is_write_index: true } },
      ],
    });
    const place = endpoint.replace(nameOf("*"), alias);
    const records = [{ id: "a", v: new Date(5), k: "x" }];
    await write(await open(place), records);
    expect(await read(await open(place, "source"))).toEqual(records);
  });

  test("an order over more documents than are sorted here is refused, with the field, its types and their indices", async () => {
    const { endpoint, nameOf } = await made({
      a: { properties: { n: { type: "long" } }, documents: {} },
      b: { properties: { n: { type: "keyword" } }, documents: {} },
    });
    const lines = Array.from({ length: 10_001 }, (_, n) => `{"index":{}}\n${JSON.stringify({ n })}\n`).join("");
    await call(url, "POST", `/${nameOf("a")}/_bulk?refresh=true&filter_path=errors`, lines);
    const error = await rejection(read(await open(endpoint, "source"), { orderBy: "n" }));
    expect(error.code).toBe("UNSUPPORTED_QUERY");
    expect(error.message).toContain(`"n"`);
    expect(error.message).toContain(`long in "${nameOf("a")}"`);
    expect(error.message).toContain(`keyword in "${nameOf("b")}"`);
  });
});
