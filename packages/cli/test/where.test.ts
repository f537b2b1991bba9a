import { describe, expect, it } from "vitest";
import { parseWhere } from "../src/query/where.ts";
import { UsageError } from "../src/usage-error.ts";

describe("conditions", () => {
  it.each([
    ["type=knowledge", { type: "knowledge" }],
    ["type==knowledge", { type: "knowledge" }],
    [" type = knowledge ", { type: "knowledge" }],
    ["type!=draft", { type: { ne: "draft" } }],
    ["age>3", { age: { gt: 3 } }],
    ["age>=3.5", { age: { gte: 3.5 } }],
    ["age<-3", { age: { lt: -3 } }],
    ["age<=1e3", { age: { lte: 1000 } }],
    ["name^=abc", { name: { prefix: "abc" } }],
    ["name^=42", { name: { prefix: "42" } }],
    ["title=*", { title: { exists: true } }],
    ["title!=*", { title: { exists: false } }],
    ['title="*"', { title: "*" }],
    ["status=[open,late]", { status: { in: ["open", "late"] } }],
    ['status=[1, "a, b", "]", null]', { status: { in: [1, "a, b", "]", null] } }],
    ["status=[]", { status: { in: [] } }],
    ["a.b=1", { "a.b": 1 }],
    ["a b=1", { "a b": 1 }],
    ['"a=b">=3', { "a=b": { gte: 3 } }],
    ["url=http://x/?a=b&c>d", { url: "http://x/?a=b&c>d" }],
    ["text=", { text: "" }],
    ["a=é知", { a: "é知" }],
  ])("reads %s", (text, where) => {
    expect(parseWhere([text])).toEqual(where);
  });

  it.each([
    ["9007199254740991", 9007199254740991],
    ["9007199254740993", 9007199254740993n],
    ["-9223372036854775808", -9223372036854775808n],
    ["42n", 42n],
    ["042", "042"],
    ["1.", "1."],
    ["true", true],
    ["false", false],
    ["null", null],
    ["True", "True"],
    ["NaN", "NaN"],
    ["text:42", "42"],
    ["text:", ""],
    ['"42"', "42"],
    ['"say \\"hi\\" \\u00e9"', 'say "hi" é'],
    ["date:2024-01-31", new Date("2024-01-31")],
    ["date:2024-01-31T12:00:00Z", new Date("2024-01-31T12:00:00Z")],
    ["date:-000044-03-15", new Date("-000044-03-15")],
    ["2024-01-31", "2024-01-31"],
    ["bytes:AAEC", new Uint8Array([0, 1, 2])],
    ["bytes:", new Uint8Array()],
  ])("reads the value %s with its type", (text, value) => {
    expect(parseWhere([`x=${text}`])).toEqual({ x: value });
  });

  it("joins conditions on one field", () => {
    expect(parseWhere(["age>=3", "age<5", "type=a"])).toEqual({ age: { gte: 3, lt: 5 }, type: "a" });
    expect(parseWhere(["age=3", "age>1"])).toEqual({ age: { in: [3], gt: 1 } });
  });

  it("takes any name for a field", () => {
    const where = parseWhere(["__proto__=1", "constructor=2"]);
    expect(Object.entries(where)).toEqual([
      ["__proto__", 1],
      ["constructor", 2],
    ]);
  });

  it.each([
    ["knowledge", /not a condition; write field=value/],
    ["=3", /not a condition/],
    ["n~3", /not a condition/],
    ["x!=[1,2]", /no list can follow !=/],
    ["x=[1,2", /no closing bracket/],
    ["x=[1,,2]", /empty value/],
    ["x=[,]", /empty value/],
    ['x="open', /double quotes/],
    ["x=date:31.1.2024", /not a date/],
    ["x=date:2024-13-45", /not a date/],
    ["x=bytes:***", /not base64/],
  ])("refuses %s", (text, message) => {
    expect(() => parseWhere([text])).toThrow(UsageError);
    expect(() => parseWhere([text])).toThrow(message);
  });

  it("refuses to be told the same thing twice", () => {
    expect(() => parseWhere(["a=1", "a=2"])).toThrow(/says twice what "a" must be.*'a=\[a,b\]'/);
    expect(() => parseWhere(["a>1", "a>2"])).toThrow(/twice/);
    expect(() => parseWhere(["a=1", "a=[2]"])).toThrow(/value and a list/);
  });
});
