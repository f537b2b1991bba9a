import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isP2PError, type P2PRecord } from "../../src/index.ts";
import {
  compareRecords,
  cursorPosition,
  foreignCursor,
  type JsonValue,
  parseJson,
  parseQuery,
  recordAt,
  recordTrouble,
  sortPosition,
  storeCursor,
} from "../../src/starter.ts";
import { objectOf, value } from "../support/arbitraries.ts";

const wire = (cursor: JsonValue): JsonValue => parseJson(JSON.stringify(cursor));

const record = fc
  .tuple(value, value, value)
  .map(
    ([id, a, b]) =>
      objectOf([
        ["id", id],
        ["a", a],
        ["__proto__", b],
      ]) as P2PRecord,
  )
  .filter((made) => recordTrouble(made) === undefined);

describe("a sorted position", () => {
  const { orderBy } = parseQuery({ orderBy: ["a", { field: "__proto__", direction: "desc" }, "none"] });

  it("stands exactly where its record stands", () => {
    fc.assert(
      fc.property(record, record, (read, other) => {
        const position = recordAt("memory", orderBy, wire(sortPosition(orderBy, read)));
        expect(compareRecords(orderBy, read, position)).toBe(0);
        expect(Math.sign(compareRecords(orderBy, other, position))).toBe(
          Math.sign(compareRecords(orderBy, other, read)),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it.each<[string, JsonValue]>([
    ["nothing", null],
    ["a number", 7],
    ["a list", []],
    ["an object", {}],
    ["too few values", { sort: [1], id: 1 }],
    ["no id", { sort: [1, 2, 3] }],
    ["a broken tag", { sort: [1, 2, { $p2p: "bigint", value: "x" }], id: 1 }],
  ])("is refused where it is %s", (_, position) => {
    expect(() => recordAt("memory", orderBy, position)).toThrow(
      expect.objectContaining({ code: "CHECKPOINT_INVALID" }),
    );
  });
});

describe("a cursor", () => {
  it("is given back to the store that made it", () => {
    for (const position of [7, "x", null, [1], { id: 1 }] as JsonValue[]) {
      expect(cursorPosition("sqlite", wire(storeCursor("sqlite", position)))).toEqual(position);
    }
  });

  it("of another store is refused by its name", () => {
    const refused = (() => {
      try {
        return cursorPosition("redis", storeCursor("sqlite", [1]));
      } catch (error) {
        return error;
      }
    })();
    expect(isP2PError(refused, "CHECKPOINT_INVALID")).toBe(true);
    expect((refused as Error).message).toBe(
      'The cursor was made by "sqlite" and cannot be used to go on reading from "redis"; start the transfer anew',
    );
    expect(foreignCursor("redis").code).toBe("CHECKPOINT_INVALID");
  });

  it("without a mark is the store's business", () => {
    for (const cursor of [7, "x", null, true, [], {}, { key: 1 }, { store: "redis", at: 1, more: 1 }] as JsonValue[]) {
      expect(cursorPosition("sqlite", cursor)).toBe(cursor);
    }
  });
});
