import { type P2PRecord, TaggedValue } from "@omni/p2p-core/starter";
import { expect, test } from "vitest";
import { assertSameRecords, describeValue } from "../src/index.ts";

function messageOf(actual: P2PRecord[], expected: P2PRecord[], options = {}): string {
  try {
    assertSameRecords(actual, expected, options);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

test("records are compared by id, whatever their order, unless order counts", () => {
  const [a, b] = [{ id: "a" }, { id: "b" }];
  expect(messageOf([a, b], [b, a])).toBe("");
  expect(messageOf([a, b], [b, a], { ordered: true })).toContain('record 0 should be id "b", but is id "a"');
});

test("a difference names the record, the field and the types", () => {
  expect(messageOf([{ id: "a", total: 5 }], [{ id: "a", total: 5n }])).toBe(
    'Records differ (1 difference):\n  id "a": field "total": expected bigint 5n, got number 5',
  );
  expect(messageOf([{ id: 1 }], [{ id: "1" }])).toContain('field "id": expected string "1", got number 1');
  expect(messageOf([{ id: 1, x: null }], [{ id: 1 }])).toContain('field "x": expected no field, got null null');
  expect(messageOf([{ id: 1, x: 0 }], [{ id: 1, x: -0 }])).toContain("expected number -0, got number 0");
});

test("a difference inside a value is told by its path", () => {
  const tagged = (value: number): P2PRecord => ({ id: 1, x: { list: [1, new TaggedValue("t:t", { y: value })] } });
  expect(messageOf([tagged(1)], [tagged(2)])).toContain(
    'field "x"."list"[1].value."y": expected number 2, got number 1',
  );
  expect(messageOf([{ id: 1, x: [1] }], [{ id: 1, x: [1, 2] }])).toContain(
    'field "x": expected array [1, 2], got array [1]',
  );
  expect(messageOf([{ id: 1, x: JSON.parse('{"__proto__":1}') as never }], [{ id: 1, x: {} }])).toContain("__proto__");
});

test("missing, extra and repeated records are named, and a long list is cut", () => {
  const message = messageOf([{ id: "a" }, { id: "a" }, { id: "c" }], [{ id: "a" }, { id: "b" }], { context: "here" });
  expect(message).toMatch(/^here: Records differ \(3 differences\)/);
  expect(message).toContain('id "a": comes more than once');
  expect(message).toContain('id "b": missing');
  expect(message).toContain('id "c": was not expected');
  const many = Array.from({ length: 30 }, (_, id) => ({ id }));
  expect(messageOf([], many)).toContain("and 10 more");
});

test("values are shown so that what looks alike is told apart", () => {
  expect(describeValue("e\u0301\u0000😀")).toBe('"e\\u{301}\\u0000😀"');
  expect(describeValue(Uint8Array.of(1, 255))).toBe("<2 bytes: 01ff>");
  expect(describeValue(new Date(0))).toBe("1970-01-01T00:00:00.000Z");
  expect(describeValue("x".repeat(500))).toContain("(502 characters)");
  expect(describeValue(undefined)).toBe("absent");
  expect(describeValue([1n, { a: null }])).toBe('[1n, {"a": null}]');
});
