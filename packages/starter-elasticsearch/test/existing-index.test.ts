import { matches, type P2PQuery, type P2PRecord, parseQuery } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, test } from "vitest";
import { call } from "./fresh-index.ts";
import { open, read, rejection, testIndex, write } from "./opening.ts";

describeWithService("elasticsearch", "an index that others made", ({ url }) => {
  /** Makes an index with these properties and documents. */
  async function made(
    mappings: Readonly<Record<string, unknown>>,
    documents: Readonly<Record<string, unknown>> = {},
  ): Promise<{ readonly index: string; readonly endpoint: string }> {
    const place = testIndex(url);
    await call(url, "PUT", `/${place.index}`, { settings: { number_of_replicas: 0 }, mappings });
    const lines = Object.entries(documents).map(([id, source]) => {
      const text = typeof source === "string" ? source : JSON.stringify(source);
      return `${JSON.stringify({ index: { _id: id } })}\n${text}\n`;
    });
    if (lines.length > 0) {
      const { errors } = await call<{ errors: boolean }>(
        url,
        "POST",
        `/${place.index}/_bulk?refresh=true`,
        lines.join(""),
      );
      expect(errors).toBe(false);
    }
    return place;
  }

  test("7 of 500 documents that violate the mapping are named with the server's reason, and 493 are written", async () => {
    const { endpoint } = await made({
      dynamic: "strict",
      properties: { price: { type: "integer" }, name: { type: "keyword" } },
    });
    const bad = new Map<number, P2PRecord>([
      [3, { id: "bad 3", price: "cheap" }],
      [77, { id: "bad 77", price: 5, color: "red" }],
      [78, { id: "bad 78", price: { amount: 5 } }],
      [200, { id: "bad 200", price: true }],
      [201, { id: "bad 201", price: 1e12 }],
      [350, { id: "bad 350", name: { first: "a" } }],
      [499, { id: "bad 499", name: "x".repeat(40_000) }],
    ]);
    const records = Array.from({ length: 500 }, (_, i) => bad.get(i) ?? { id: `r${i}`, price: i, name: `n${i}` });
    const result = await write(await open(endpoint), records);
    expect(result).toMatchObject({ written: 493, skipped: 0 });
    expect(result.failures.map(({ index }) => index)).toEqual([...bad.keys()]);
    for (const { index, id, error } of result.failures) {
      expect(id).toBe(bad.get(index)!.id);
      expect(error.code).toBe("TYPE_MISMATCH");
      expect(error.retryable).toBe(false);
      expect(error.message).toContain(String(id));
    }
    const reasons = result.failures.map(({ error }) => error.message);
    expect(reasons[0]).toMatch(/failed to parse field \[price\] of type \[integer\].*For input string: "cheap"/);
    expect(reasons[1]).toMatch(/strict_dynamic_mapping_exception.*\[color\]/);
    expect(reasons[6]).toMatch(/immense term/);
    expect(await read(await open(endpoint, "source"))).toEqual(records.filter((_, i) => !bad.has(i)));
  });

  test.each(["true", "false", "runtime", "strict"])(
    "records come back with their types where dynamic is %s",
    async (dynamic) => {
      const properties = {
        when: { type: "date" },
        day: { type: "date", format: "yyyy-MM-dd" },
        code: { type: "keyword" },
      };
      const { index, endpoint } = await made({ dynamic, properties });
      const records: P2PRecord[] = [
        { id: 1, when: new Date(5), day: new Date("2024-02-29"), code: "2024-02-29" },
        { id: "two", when: null, code: 5n },
        {
          id: new Date(3),
          code: new Date(3),
          ...(dynamic === "strict" ? {} : { more: new Date(4), "a.b": "2024-01-01" }),
        },
        {
          id: 4n,
          code: Uint8Array.of(1),
          ...(dynamic === "strict" ? {} : { more: "2024-01-01", o: { s: "2024-01-01", n: -0 } }),
        },
      ];
      const target = await open(endpoint);
      expect(await write(target, records)).toMatchObject({ written: 4, failures: [] });
      const source = await open(endpoint, "source");
      expect(await read(source)).toEqual(records);
      expect(await read(source, { where: { day: new Date("2024-02-29") } })).toEqual([records[0]]);
      expect(await read(source, { where: { code: new Date(3) } })).toEqual([records[2]]);
      const mapping = await call<Record<string, { mappings: { properties: Record<string, unknown> } }>>(
        url,
        "GET",
        `/${index}/_mapping`,
      );
      expect(mapping[index]!.mappings.properties).toMatchObject(properties);
    },
  );

  test("where means the same as everywhere, whatever the types and however the values were written", async () => {
    const fields = {
      title: { type: "text", fields: { keyword: { type: "keyword", ignore_above: 10 } } },
      analyzed: { type: "text" },
      code: { type: "keyword" },
      n: { type: "long" },
      x: { type: "double" },
      f: { type: "float" },
      at: { type: "date" },
      flag: { type: "boolean" },
      status: { type: "keyword", null_value: "none" },
      unindexed: { type: "keyword", index: false, doc_values: false },
      kept: { type: "object", enabled: false },
    };
    const documents: Record<string, unknown> = {
      a: {
        title: "Short",
        analyzed: "Hello World",
        code: "a",
        n: 5,
        x: 5,
        f: 0.1,
        at: "2024-01-01",
        flag: true,
        status: null,
        unindexed: "u",
      },
      b: {
        title: "Long title beyond ten",
        analyzed: "hello world",
        code: ["a", "b"],
        n: "5",
        x: "5",
        at: 1704067200000,
        flag: "true",
        status: "none",
      },
      c: { title: ["Short"], code: [], n: [5, 6], x: [5], f: [0.1], at: ["2024-01-01"], flag: [true], kept: "k" },
      d: { title: null, code: null, n: 1.5, x: null, at: null, flag: null, kept: { deep: 1 } },
      e: { title: "", code: "", n: -1, x: -1.5, f: -1, at: "1969-12-31T23:59:59.999Z", flag: false },
      f: {},
    };
    const { endpoint } = await made({ properties: fields }, documents);
    const source = await open(endpoint, "source");
    const all = await read(source);
    const values = [
      "Short",
      "Long title beyond ten",
      "Hello World",
      "a",
      "",
      "5",
      "none",
      "u",
      "k",
      5,
      1.5,
      -1,
      0.1,
      5n,
      true,
      false,
      new Date("2024-01-01"),
      new Date(-1),
    ];
    for (const name of [...Object.keys(fields), "absent"]) {
      const conditions: unknown[] = [
        null,
        { exists: true },
        { exists: false },
        { ne: null },
        { prefix: "" },
        { prefix: "Sh" },
        { in: [5, "a", null] },
      ];
      for (const value of values)
        conditions.push(value, { ne: value }, { in: [value, "a"] }, { gt: value }, { lte: value });
      for (const condition of conditions) {
        const query = { where: { [name]: condition } } as P2PQuery;
        const expected = all.filter((record) => matches(parseQuery(query).conditions, record));
        const found = await read(source, query);
        const context = `${name} ${JSON.stringify(condition, (_, value) => (typeof value === "bigint" ? `${value}n` : value))}`;
        expect(
          found.map(({ id }) => id),
          context,
        ).toEqual(expected.map(({ id }) => id));
      }
    }
  });

  test("native queries narrow the reading down, and go with where", async () => {
    const documents = Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [`d${i}`, { n: i, body: i % 2 ? "odd one" : "even one" }]),
    );
    const { endpoint } = await made({}, documents);
    const source = await open(endpoint, "source");
    const query: P2PQuery = {
      native: { elasticsearch: { query: { match: { body: "ODD" } } } },
      where: { n: { lt: 6 } },
    };
    expect((await read(source, query)).map(({ id }) => id)).toEqual(["d1", "d3", "d5"]);
    const bad = { native: { elasticsearch: { query: { no_such_query: {} } } } } as unknown as P2PQuery;
    expect((await rejection(read(source, bad))).code).toBe("INVALID_QUERY");
    for (const wrong of [{ query: 5 }, {}, { query: { match_all: {} }, size: 5 }]) {
      const error = await rejection(read(source, { native: { elasticsearch: wrong } } as unknown as P2PQuery));
      expect(error.code).toBe("INVALID_QUERY");
    }
  });

  test("an order is made over what others wrote, and refused where that cannot be", async () => {
    const documents = Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => [`d${i}`, { n: (i * 7) % 30, body: `text ${i % 4}` }]),
    );
    const { endpoint } = await made({ properties: { n: { type: "long" }, body: { type: "text" } } }, documents);
    const source = await open(endpoint, "source");
    const numbers = (await read(source, { orderBy: { field: "n", direction: "desc" } }, { batchSize: 7 })).map(
      ({ n }) => n,
    );
    expect(numbers).toEqual(Array.from({ length: 30 }, (_, i) => 29 - i));
    // Few enough to be sorted here, though the server cannot.
    const texts = (await read(source, { orderBy: ["body", "id"] }, { batchSize: 7 })).map(({ body }) => body);
    expect(texts).toEqual([...texts].sort());
  });

  test("an alias and a pattern are read as one source, and a data set behind an alias is written to", async () => {
    const first = await made({}, { a: { n: 1 } });
    const second = await made({}, { b: { n: 2 } });
    const alias = `${first.index}-alias`;
    await call(url, "POST", "/_aliases", {
      actions: [{ add: { index: first.index, alias, is_write_index: true } }, { add: { index: second.index, alias } }],
    });
    const endpoint = first.endpoint.replace(first.index, alias);
    expect(await write(await open(endpoint), [{ id: "c", n: 3 }])).toMatchObject({ written: 1 });
    for (const place of [endpoint, first.endpoint.replace(first.index, `${first.index},${second.index}`)]) {
      const source = await open(place, "source");
      const ids = (await read(source, {}, { batchSize: 1 })).map(({ id }) => id);
      expect(ids.sort()).toEqual(["a", "b", "c"]);
      expect(await source.count({}, new AbortController().signal)).toBe(3);
    }
  });

  test("an index that keeps no source, or is closed, is an error that says so", async () => {
    const sourceless = await made({ _source: { enabled: false } });
    const error = await rejection(open(sourceless.endpoint, "source"));
    expect(error.code).toBe("SOURCE_NOT_FOUND");
    expect(error.message).toContain("_source");
    const closed = await made({}, { a: { n: 1 } });
    const target = await open(closed.endpoint);
    const source = await open(closed.endpoint, "source");
    await call(url, "POST", `/${closed.index}/_close`);
    expect((await rejection(read(source))).code).toBe("SOURCE_NOT_FOUND");
    const { failures } = await write(target, [{ id: "b" }]);
    expect(failures.map((failure) => failure.error.code)).toEqual(["TARGET_NOT_WRITABLE"]);
  });
});
