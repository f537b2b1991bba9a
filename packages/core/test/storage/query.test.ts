import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  isP2PError,
  type P2PCondition,
  type P2PQuery,
  type P2PRecord,
  type P2PValue,
  TaggedValue,
} from "../../src/index.ts";
import { compareRecords, idKey, matches, parseQuery, projectRecord } from "../../src/starter.ts";
import { objectOf, value } from "../support/arbitraries.ts";

const ABSENT = Symbol("absent");

function found(condition: P2PCondition, actual: P2PValue | typeof ABSENT, field = "f"): boolean {
  const record = { id: "x", ...(actual === ABSENT ? {} : { [field]: actual }) } as P2PRecord;
  return matches(parseQuery({ where: { [field]: condition } }).conditions, record);
}

describe("parseQuery", () => {
  it("spells a query out", () => {
    const query: P2PQuery = {
      type: "knowledge",
      where: { "a.b": { gte: 1, lt: 5n }, c: null },
      fields: ["title", "id", "title"],
      orderBy: ["a", { field: "b", direction: "desc" }],
      offset: 5,
      limit: 0,
      partition: { from: 1 },
    };
    expect(parseQuery(query)).toEqual({
      conditions: [
        { field: "type", operator: "eq", value: "knowledge" },
        { field: "a.b", operator: "gte", value: 1 },
        { field: "a.b", operator: "lt", value: 5n },
        { field: "c", operator: "eq", value: null },
      ],
      fields: ["title"],
      orderBy: [
        { field: "a", direction: "asc" },
        { field: "b", direction: "desc" },
      ],
      offset: 5,
      limit: 0,
      native: {},
      partition: { from: 1 },
    });
    expect(parseQuery({})).toEqual({
      conditions: [],
      fields: undefined,
      orderBy: [],
      offset: 0,
      limit: Number.POSITIVE_INFINITY,
      native: {},
      partition: undefined,
    });
  });

  it.each<[string, unknown, RegExp]>([
    ["null", null, /must be an object/],
    ["a list", [], /must be an object/],
    ["text", "type=a", /must be an object/],
    ["an unknown key", { wher: {} }, /unknown key "wher"; a query has type, where/],
    ["a type that is no text", { type: 5 }, /type must be a string/],
    ["where as text", { where: "a = 1" }, /where must be an object/],
    ["where as a list", { where: [{ a: 1 }] }, /where must be an object/],
    ["where as null", { where: null }, /where must be an object/],
    ["an undefined condition", { where: { a: undefined } }, /where\.a is undefined; use null/],
    ["a list as a condition", { where: { a: [1, 2] } }, /where\.a is an array; use \{ in/],
    ["an operator of a store", { where: { a: { $gt: 1 } } }, /where\.a has the unknown operator "\$gt".*native/],
    ["a tagged value", { where: { a: new TaggedValue("a:b", 1) } }, /where\.a/],
    ["an operator without a value", { where: { a: { gt: undefined } } }, /where\.a\.gt is undefined/],
    ["an empty condition", { where: { a: {} } }, /where\.a is an empty object/],
    ["an unknown operator", { where: { a: { like: "x" } } }, /unknown operator "like"/],
    ["NaN", { where: { a: Number.NaN } }, /where\.a must be a single value/],
    ["an invalid date", { where: { a: new Date(Number.NaN) } }, /where\.a is an invalid date/],
    ["a function", { where: { a: () => 1 } }, /where\.a/],
    ["a lone surrogate", { where: { a: "\ud800" } }, /where\.a holds a lone surrogate/],
    ["an object to compare with", { where: { a: { gt: {} } } }, /where\.a\.gt must be a single value/],
    ["null to compare with", { where: { a: { lt: null } } }, /where\.a\.lt cannot compare with null/],
    ["in without a list", { where: { a: { in: 1 } } }, /where\.a\.in must be an array/],
    ["in with a list inside", { where: { a: { in: [[1]] } } }, /where\.a\.in must be a single value/],
    ["exists without a boolean", { where: { a: { exists: 1 } } }, /where\.a\.exists must be true or false/],
    ["prefix without a text", { where: { a: { prefix: 1 } } }, /where\.a\.prefix must be a string/],
    ["fields that are no list", { fields: "a" }, /fields must be an array/],
    ["an empty field", { fields: [""] }, /fields must be an array/],
    ["an order without a field", { orderBy: {} }, /orderBy takes/],
    ["null as an order", { orderBy: null }, /orderBy takes/],
    ["a wrong direction", { orderBy: { field: "a", direction: "up" } }, /orderBy takes/],
    ["a negative limit", { limit: -1 }, /limit must be a whole number from 0 up, not -1/],
    ["half a limit", { limit: 1.5 }, /limit must be/],
    ["limit as text", { limit: "5" }, /limit must be/],
    ["an offset that is NaN", { offset: Number.NaN }, /offset must be/],
    ["an infinite offset", { offset: Infinity }, /offset must be/],
    ["native as text", { native: "SELECT 1" }, /native must be an object/],
  ])("refuses %s", (_, query, message) => {
    expect(() => parseQuery(query as P2PQuery)).toThrow(message);
    expect(() => parseQuery(query as P2PQuery)).toThrow(
      expect.toSatisfy((error) => isP2PError(error, "INVALID_QUERY")),
    );
  });
});

describe("where", () => {
  it.each<[string, P2PCondition, readonly (P2PValue | typeof ABSENT)[], readonly (P2PValue | typeof ABSENT)[]]>([
    ["5", 5, [5, 5n], [5.1, "5", true, null, ABSENT, new Date(5), [5]]],
    ["5n", 5n, [5, 5n], [6n, "5", null]],
    ["0", 0, [0, -0, 0n], [false, "", null]],
    ["text", "a", ["a"], ["A", "a ", null, ABSENT, ["a"]]],
    ["é", "é", ["é"], ["e\u0301"]],
    ["true", true, [true], [1, "true", false, ABSENT]],
    ["a date", new Date(5), [new Date(5)], [5, new Date(6), new Date(5).toISOString()]],
    ["bytes", Uint8Array.of(1), [Uint8Array.of(1), Buffer.from([1])], [Uint8Array.of(1, 0), "\u0001"]],
    ["null", null, [null, ABSENT], [0, "", false, "null"]],
    ["ne 5", { ne: 5 }, [6, "5", null, ABSENT, [5]], [5, 5n]],
    ["ne null", { ne: null }, [0, "", false], [null, ABSENT]],
    ["in", { in: [1, "a", null] }, [1, 1n, "a", null, ABSENT], [2, "1"]],
    ["in nothing", { in: [] }, [], [1, null, ABSENT]],
    ["exists", { exists: true }, [0, "", false, [], {}], [null, ABSENT]],
    ["exists not", { exists: false }, [null, ABSENT], [0, "", false]],
    ["prefix", { prefix: "ab" }, ["ab", "abc"], ["a", "AB", "xab", null, ABSENT, 5]],
    ["prefix with a star", { prefix: "a*" }, ["a*b"], ["ab", "aab"]],
    ["empty prefix", { prefix: "" }, ["", "x"], [5, null, ABSENT]],
    ["gt", { gt: 5 }, [6, 6n, 5.1, Infinity], [5, 5n, 4, "6", null, ABSENT, new Date(6), true]],
    ["gte", { gte: 5n }, [5, 5n, 6], [4, null, ABSENT]],
    ["lt", { lt: 5 }, [4, -1n, -Infinity], [5, null, ABSENT, "4", Number.NaN]],
    ["lte text", { lte: "b" }, ["a", "b", ""], ["c", 1, null]],
    ["gt by code point", { gt: "\uff5e" }, ["\u{1f600}"], ["\ud7ff"]],
    ["between", { gte: 2, lt: 4 }, [2, 3], [1, 4]],
    ["gt a date", { gt: new Date(0) }, [new Date(1)], [new Date(0), 1]],
  ])("%s", (_, condition, yes, no) => {
    for (const actual of yes) expect(found(condition, actual), String(actual)).toBe(true);
    for (const actual of no) expect(found(condition, actual), String(actual)).toBe(false);
  });

  it("compares ids by their canonical text", () => {
    for (const id of [1, 1n, "1"]) for (const wanted of [1, 1n, "1"]) expect(found(wanted, id, "id")).toBe(true);
    expect(found({ in: ["2", 1] }, 2n, "id")).toBe(true);
    expect(found({ ne: "1" }, 1, "id")).toBe(false);
    expect(found(new Date(0), "1970-01-01T00:00:00.000Z", "id")).toBe(true);
  });

  it("takes field names literally", () => {
    const record = objectOf([
      ["id", 1],
      ["a", { b: 1 }],
      ["__proto__", 5],
    ]) as P2PRecord;
    expect(matches(parseQuery({ where: { "a.b": 1 } }).conditions, record)).toBe(false);
    expect(matches(parseQuery({ where: { constructor: { exists: true } } }).conditions, record)).toBe(false);
    expect(matches(parseQuery({ where: objectOf([["__proto__", 5]]) as never }).conditions, record)).toBe(true);
  });

  it("compares by size within one kind alone, and NaN and invalid dates with nothing", () => {
    for (const operator of ["gt", "gte", "lt", "lte"] as const) {
      for (const actual of [Number.NaN, null, undefined, "1", [1], { a: 1 }, true, new Date(1), Uint8Array.of(1)]) {
        expect(found({ [operator]: 1 }, actual as P2PValue), `${operator} ${String(actual)}`).toBe(false);
      }
      expect(found({ [operator]: new Date(1) }, new Date(Number.NaN))).toBe(false);
    }
    expect(found({ gte: 1n }, 1)).toBe(true);
    expect(found({ lt: 2n ** 53n + 1n }, 2 ** 53)).toBe(true);
  });

  it("has no operator but those that it knows, also where a query was not parsed", () => {
    const condition = { field: "n", operator: "like" as never, value: 1 };
    expect(() => matches([condition], { id: 1, n: 1 })).toThrow(/unknown operator "like"/);
  });

  it("finds a thing or its opposite", () => {
    fc.assert(
      fc.property(value, value, (actual, wanted) => {
        const type = typeof wanted;
        if (wanted === null || type === "object" || Number.isNaN(wanted)) return;
        expect(found({ ne: wanted }, actual)).toBe(!found(wanted as P2PCondition, actual));
      }),
    );
  });
});

describe("orderBy", () => {
  const sorted = (orderBy: NonNullable<P2PQuery["orderBy"]>, records: readonly P2PRecord[]) =>
    records.toSorted((a, b) => compareRecords(parseQuery({ orderBy }).orderBy, a, b)).map(({ id }) => id);

  it("puts null and absent first, and last when descending; ties go by id", () => {
    const records: P2PRecord[] = [{ id: 3, n: 2 }, { id: 2, n: null }, { id: 1 }, { id: 5, n: 2n }, { id: 4, n: -1 }];
    expect(sorted("n", records)).toEqual([1, 2, 4, 3, 5]);
    expect(sorted({ field: "n", direction: "desc" }, records)).toEqual([3, 5, 4, 1, 2]);
  });

  it("is that of the values, whatever their kinds, and does not depend on how records came", () => {
    const values: P2PValue[] = [5, Number.NaN, -1, "0", Number.NaN, 0, true, 7n, [1], new Date(0), { a: 1 }];
    const records = values.map((n, i): P2PRecord => ({ id: i, n }));
    const order = [1, 4, 2, 5, 0, 7, 3, 10, 8, 6, 9];
    expect(sorted("n", records)).toEqual(order);
    expect(sorted("n", records.toReversed())).toEqual(order);
    expect(
      sorted(
        [
          { field: "n", direction: "desc" },
          { field: "id", direction: "desc" },
        ],
        records,
      ),
    ).toEqual(order.toReversed());
  });

  it("goes by several fields in turn", () => {
    const records: P2PRecord[] = [
      { id: 1, a: 1, b: 1 },
      { id: 2, a: 0, b: 1 },
      { id: 3, a: 0, b: 2 },
    ];
    expect(sorted(["a", { field: "b", direction: "desc" }], records)).toEqual([3, 2, 1]);
  });

  it("is one order for ids of all kinds", () => {
    const ids = fc.uniqueArray(
      fc
        .oneof(
          fc.integer({ min: -20, max: 20 }),
          fc.bigInt({ min: -20n, max: 20n }),
          fc.string({ maxLength: 2 }),
          fc.boolean(),
        )
        .filter((id) => id !== ""),
      { selector: idKey },
    );
    fc.assert(
      fc.property(ids, (list) => {
        const records = list.map((id): P2PRecord => ({ id }));
        const order = sorted([], records);
        expect(sorted([], records.toReversed())).toEqual(order);
        for (const [i, a] of order.entries()) {
          for (const b of order.slice(i + 1)) expect(compareRecords([], { id: a }, { id: b })).toBeLessThan(0);
        }
      }),
    );
  });
});

describe("fields", () => {
  it("are copied, with the id, and without what is absent", () => {
    const record: P2PRecord = { id: new Date(0), a: [1], b: undefined, c: 1 };
    const projected = projectRecord(record, ["a", "b", "constructor"]);
    expect(projected).toEqual({ id: new Date(0), a: [1] });
    expect(projected.a).not.toBe(record.a);
    expect(projected.id).not.toBe(record.id);
    expect(projectRecord(record, undefined)).toEqual({ id: new Date(0), a: [1], c: 1 });
    expect(projectRecord(record, [])).toEqual({ id: new Date(0) });
    expect(
      Object.keys(
        projectRecord(
          objectOf([
            ["id", 1],
            ["__proto__", 2],
          ]) as P2PRecord,
          ["__proto__"],
        ),
      ),
    ).toEqual(["id", "__proto__"]);
  });
});
