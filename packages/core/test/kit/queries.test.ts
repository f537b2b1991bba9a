import { describe, expect, it } from "vitest";
import type { P2PQuery } from "../../src/index.ts";
import {
  assertAskableById,
  foreignPartition,
  isIndivisible,
  type JsonValue,
  nativePart,
  parseJson,
  parseQuery,
  partitionBounds,
  pickFields,
  projectRecord,
  storePartition,
} from "../../src/starter.ts";

describe("nativePart", () => {
  const sql = { store: "sql", product: "SQL", keys: ["where", "params"] };

  it("is the store's own part, as it was given", () => {
    expect(nativePart({ native: { sql: { where: "a > 1" } } }, sql)).toEqual({ where: "a > 1" });
    expect(nativePart({ native: {} }, sql)).toBeUndefined();
  });

  it.each([[{ redis: {} }], [{ sql: {}, redis: { match: "*" } }]])("refuses another store's: %j", (native) => {
    expect(() => nativePart({ native }, sql)).toThrow(
      expect.objectContaining({
        code: "UNSUPPORTED_QUERY",
        message: "native.redis cannot be used on SQL; use native.sql",
      }),
    );
  });

  it.each([["text"], [null], [[]], [5]])("refuses what is no object: %j", (given) => {
    expect(() => nativePart({ native: { sql: given } }, sql)).toThrow(
      expect.objectContaining({
        code: "INVALID_QUERY",
        message: "Invalid query: native.sql must be an object { where, params }",
      }),
    );
  });

  it("names a key that is not known, and the one that was meant", () => {
    expect(() => nativePart({ native: { sql: { were: "a" } } }, sql)).toThrow(
      'Invalid query: native.sql has the unknown key "were" (did you mean "where"?); it has where, params',
    );
  });

  it("says where there are no native queries at all", () => {
    const none = { store: "heap", product: "a heap", keys: [] };
    for (const native of [{ heap: {} }, { sql: {} }])
      expect(() => nativePart({ native }, none)).toThrow(/cannot be used on a heap, which has no native queries$/);
  });
});

describe("partitionBounds", () => {
  const names = ["after", "upTo"];

  it("gives back the bounds that a store wrote, also by way of JSON", () => {
    const partition = storePartition("sql", { after: 1, upTo: { $p2p: "bigint", value: "5" } });
    const sent = parseJson(JSON.stringify(partition));
    for (const one of [partition, sent])
      expect(partitionBounds("sql", one, names)).toEqual({ after: 1, upTo: { $p2p: "bigint", value: "5" } });
    expect(partitionBounds("sql", storePartition("sql", { after: 1, upTo: undefined }), names)).toEqual({ after: 1 });
    expect(partitionBounds("sql", undefined, names)).toBeUndefined();
  });

  it("takes one without a mark by the names of its bounds", () => {
    expect(partitionBounds("sql", { after: 1 }, names)).toEqual({ after: 1 });
  });

  it.each([
    [storePartition("heap", { after: 1, upTo: 5 }), 'was made by "heap"'],
    [{ slots: [0, 5] }, "was not made by a sql source"],
    [{ after: 1, below: 5 }, "was not made by a sql source"],
    [{ store: "sql", part: [1] }, "was not made by a sql source"],
    [{ store: "sql", part: { slots: 1 } }, "was not made by a sql source"],
    [null, "was not made by a sql source"],
    [5, "was not made by a sql source"],
    ["all", "was not made by a sql source"],
    [[1, 2], "was not made by a sql source"],
  ] as [JsonValue, string][])("refuses what another store made, or nobody: %j", (partition, why) => {
    expect(() => partitionBounds("sql", partition, names)).toThrow(
      expect.objectContaining({ code: "INVALID_QUERY", message: expect.stringContaining(why) }),
    );
  });

  it("has one error for stores to throw", () => {
    expect(foreignPartition("sql")).toMatchObject({ code: "INVALID_QUERY" });
  });
});

describe("isIndivisible", () => {
  it.each([
    [{}, 2, false],
    [{ where: { a: 1 }, fields: ["a"] }, 2, false],
    [{}, 1, true],
    [{ orderBy: [{ field: "a" }] }, 2, true],
    [{ offset: 1 }, 2, true],
    [{ limit: 5 }, 2, true],
    [{ partition: { after: 1 } }, 2, true],
  ] as [P2PQuery, number, boolean][])("%j in %i parts: %s", (query, parts, whole) => {
    expect(isIndivisible(parseQuery(query), parts)).toBe(whole);
  });
});

describe("assertAskableById", () => {
  it.each([{}, { offset: 0 }, { where: { a: 1 }, orderBy: "a", partition: { after: 1 } }] as P2PQuery[])(
    "takes %j",
    (query) => {
      expect(() => assertAskableById(parseQuery(query))).not.toThrow();
    },
  );

  it.each([{ limit: 0 }, { limit: 5 }, { offset: 1 }, { offset: 1, limit: 1 }])("refuses %j", (query) => {
    expect(() => assertAskableById(parseQuery(query))).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_QUERY", message: expect.stringContaining("a limit or an offset") }),
    );
  });
});

describe("pickFields", () => {
  const record = { id: 1, a: { deep: [1] }, b: undefined, ["__proto__"]: 3 };

  it("keeps the id and these fields alone, in the order in which they were asked for", () => {
    const made = JSON.parse('{"id":1,"a":{"deep":[1]},"c":2,"__proto__":3}');
    expect(JSON.stringify(pickFields(made, ["c", "__proto__", "none", "toString"]))).toBe(
      '{"id":1,"c":2,"__proto__":3}',
    );
    expect(pickFields(record, ["b"])).toEqual({ id: 1 });
  });

  it("shares the values, of which projectRecord makes copies", () => {
    expect(pickFields(record, undefined)).toBe(record);
    expect(pickFields(record, ["a"]).a).toBe(record.a);
    expect(projectRecord(record, ["a"])).toEqual({ id: 1, a: { deep: [1] } });
    expect(projectRecord(record, ["a"]).a).not.toBe(record.a);
  });
});
