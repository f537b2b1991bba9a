import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ConversionType } from "../../src/config.ts";
import { TaggedValue } from "../../src/index.ts";
import type { P2PValue } from "../../src/model/value-tree.ts";
import { Conversion, type ConversionOptions, conversionName } from "../../src/transfer/conversion/conversion.ts";
import { convertValue, Misfit } from "../../src/transfer/conversion/convert-value.ts";
import { instantOf } from "../../src/transfer/conversion/instant.ts";

const to = (type: ConversionType, value: P2PValue) => {
  const made = convertValue(value, type);
  return made instanceof Misfit ? "misfit" : made;
};
const convert = (options: ConversionOptions, record: Record<string, P2PValue>) =>
  new Conversion(options).convert({ id: 1, ...record }) as Record<string, P2PValue>;

describe("dates", () => {
  it.each([
    ["2024-01-31", "2024-01-31T00:00:00.000Z"],
    ["2024-02-29", "2024-02-29T00:00:00.000Z"],
    ["2024-01-31 08:15:00", "2024-01-31T08:15:00.000Z"],
    ["2024-01-31T08:15", "2024-01-31T08:15:00.000Z"],
    ["2024-01-31T08:15:00.5Z", "2024-01-31T08:15:00.500Z"],
    ["2024-01-31T08:15:00+02:00", "2024-01-31T06:15:00.000Z"],
    ["2024-01-31 08:15:00-0530", "2024-01-31T13:45:00.000Z"],
    ["2024-01-31 08:15:00.123000+00", "2024-01-31T08:15:00.123Z"],
    ["0001-01-01", "0001-01-01T00:00:00.000Z"],
  ])("reads %s", (text, iso) => {
    expect(to("date", text)).toEqual(new Date(iso));
  });

  it.each([
    "2024-02-30",
    "2023-02-29",
    "2024-13-01",
    "2024-01-31T24:00:00Z",
    "2024-01-31T08:15:60Z",
    "2024-01-31T08:15:00+25:00",
    "31.1.2024",
    "2024-1-31",
    " 2024-01-31",
    "2024-01-31T08:15:00.1234Z",
    "",
    "yesterday",
  ])("does not take %j for another one", (text) => {
    expect(to("date", text)).toBe("misfit");
  });

  it("takes no number for a date unless its unit is said", () => {
    expect(to("date", 1_700_000_000)).toBe("misfit");
    expect(to("epoch-s", 1_700_000_000)).toEqual(new Date(1_700_000_000_000));
    expect(to("epoch-s", "1700000000.25")).toEqual(new Date(1_700_000_000_250));
    expect(to("epoch-ms", 1_700_000_000_123n)).toEqual(new Date(1_700_000_000_123));
    expect(to("epoch-ms", 0.5)).toBe("misfit");
    expect(to("epoch-s", "17e30")).toBe("misfit");
  });

  it("keeps microseconds as a timestamp", () => {
    expect(to("timestamp", "2024-01-31 08:15:00.123456")).toEqual(
      new TaggedValue("postgresql:timestamptz", "2024-01-31T08:15:00.123456Z"),
    );
    expect(to("timestamp", "2024-01-31 08:15:00.123400+01")).toEqual(
      new TaggedValue("postgresql:timestamptz", "2024-01-31T07:15:00.1234Z"),
    );
    expect(to("timestamp", "2024-01-31 08:15:00.123000")).toEqual(new Date("2024-01-31T08:15:00.123Z"));
    expect(to("timestamp", "2024-01-31 08:15:00.123456789")).toBe("misfit");
  });

  it("are what toISOString() says, of every date", () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), (date) => {
        expect(instantOf(date.toISOString())).toEqual({ ms: date.getTime(), nanoseconds: 0 });
        expect(to("date", date.toISOString())).toEqual(date);
      }),
    );
  });

  it("exist, whatever the digits", () => {
    const part = (max: number) => fc.integer({ min: 0, max }).map((n) => String(n).padStart(2, "0"));
    fc.assert(
      fc.property(part(14), part(33), part(25), part(61), (month, day, hour, minute) => {
        const text = `2023-${month}-${day}T${hour}:${minute}:00.000Z`;
        const made = to("date", text);
        if (made !== "misfit") expect((made as Date).toISOString()).toBe(text);
        else expect(Number.isNaN(Date.parse(text)) || new Date(text).toISOString() !== text).toBe(true);
      }),
    );
  });
});

describe("numbers", () => {
  it("are never rounded", () => {
    expect(to("number", "9007199254740993")).toBe("misfit");
    expect(to("number", "0.1234567890123456789")).toBe("misfit");
    expect(to("number", 9007199254740993n)).toBe("misfit");
    expect(to("number", "0.1")).toBe(0.1);
    expect(to("number", "1.10")).toBe(1.1);
    expect(to("number", "1e3")).toBe(1000);
    expect(to("number", "1e400")).toBe("misfit");
    expect(to("integer", "9007199254740993")).toBe(9007199254740993n);
    expect(to("integer", "42")).toBe(42);
    expect(to("integer", "42.00")).toBe(42);
    expect(to("integer", "42.5")).toBe("misfit");
    expect(to("bigint", "42")).toBe(42n);
    expect(to("bigint", `1e${"9".repeat(6)}`)).toBe("misfit");
    expect(to("decimal", "19.99")).toBe(19.99);
    expect(to("decimal", "19.90")).toEqual(new TaggedValue("postgresql:numeric", "19.90"));
    expect(to("decimal", "0.1234567890123456789")).toEqual(
      new TaggedValue("postgresql:numeric", "0.1234567890123456789"),
    );
    expect(to("decimal", "123456789012345678901234567890")).toBe(123456789012345678901234567890n);
    expect(to("number", "")).toBe("misfit");
    expect(to("number", "12 apples")).toBe("misfit");
    expect(to("number", "0x10")).toBe("misfit");
    expect(to("number", true)).toBe("misfit");
  });

  it("of every double's text are that double", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Object.is(to("number", Object.is(value, -0) ? "-0" : String(value)), value)).toBe(true);
      }),
    );
  });

  it("of any digits keep all of them, or do not fit", () => {
    const digits = fc.stringMatching(/^-?[0-9]{1,30}(\.[0-9]{1,30})?$/);
    const plain = (text: string) =>
      text
        .replace(/^(-?)0+(?=\d)/, "$1")
        .replace(/(\.\d*?)0+$/, "$1")
        .replace(/\.$/, "");
    const unsigned = (text: string) => (/^-0?$/.test(text) ? "0" : text);
    fc.assert(
      fc.property(digits, (text) => {
        const made = to("decimal", text);
        const shown = made instanceof TaggedValue ? String(made.value) : String(made);
        if (!shown.includes("e")) expect(unsigned(plain(shown))).toBe(unsigned(plain(text)));
        else expect(Number(text)).toBe(made);
      }),
    );
  });
});

describe("JSON", () => {
  it("is read as Python's json.dumps writes it", () => {
    expect(to("json", '{"a": [1, 2.5, null, true], "b": "\\u00e9"}')).toEqual({ a: [1, 2.5, null, true], b: "é" });
    expect(to("json", '{"a": NaN, "b": [Infinity, -Infinity], "c": "NaN \\" NaN"}')).toEqual({
      a: Number.NaN,
      b: [Infinity, -Infinity],
      c: 'NaN " NaN',
    });
    expect(to("json", '{"~NaN": "~NaN", "b": NaN}')).toEqual({ "~NaN": "~NaN", b: Number.NaN });
    expect(to("json", String.raw`[NaN, "~NaN", "\u007eNaN", "\u007eabc"]`)).toEqual([
      Number.NaN,
      "~NaN",
      "~NaN",
      "~abc",
    ]);
    expect(to("json", "{NaN: 1}")).toBe("misfit");
    // In time that grows with the text alone: this one once took minutes.
    const long = "~".repeat(200_000);
    expect(to("json", `["${long}", NaN]`)).toEqual([long, Number.NaN]);
  });

  it("loses no digit and no name", () => {
    expect(to("json", "[9007199254740993]")).toEqual([9007199254740993n]);
    expect(to("json", "[0.1234567890123456789]")).toBe("misfit");
    expect(to("json", '{"a":1,"a":2}')).toBe("misfit");
    expect(to("json", '{"a":1,"\\u0061":2}')).toBe("misfit");
    expect(to("json", '[{"a":1},{"a":2}]')).toEqual([{ a: 1 }, { a: 2 }]);
    expect(Object.hasOwn(to("json", '{"__proto__":1}') as object, "__proto__")).toBe(true);
    expect(to("json", "{'a': 1}")).toBe("misfit");
    expect(to("json", "")).toBe("misfit");
    expect(to("json", { already: "there" })).toEqual({ already: "there" });
  });

  it("of every value of JSON is that value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(to("json", JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe("other types", () => {
  it("are exact", () => {
    expect(["true", "T", "yes", "on", "1", 1, 1n, true].map((value) => to("boolean", value))).toEqual(
      Array(8).fill(true),
    );
    expect(["false", "F", "no", "off", "0", 0, 0n, false].map((value) => to("boolean", value))).toEqual(
      Array(8).fill(false),
    );
    expect(to("boolean", 2)).toBe("misfit");
    expect(to("boolean", "")).toBe("misfit");
    expect(to("text", 5)).toBe("5");
    expect(to("text", 5n)).toBe("5");
    expect(to("text", new Date(0))).toBe("1970-01-01T00:00:00.000Z");
    expect(to("text", { a: [1] })).toBe('{"a":[1]}');
    expect(to("text", Uint8Array.of(0xff))).toBe("misfit");
    expect(to("hex", "\\x00ff")).toEqual(Uint8Array.of(0, 255));
    expect(to("hex", "0")).toBe("misfit");
    expect(to("base64", "AP8=")).toEqual(Uint8Array.of(0, 255));
    expect(to("base64", "AP8")).toBe("misfit");
    expect(to("base64", "A P8=")).toBe("misfit");
  });

  it("leave null as it is, and are the same when they are made twice", () => {
    const types = ["date", "number", "integer", "bigint", "decimal", "boolean", "text", "json", "hex"] as const;
    const text = fc.oneof(fc.string(), fc.integer().map(String), fc.double().map(String), fc.json(), fc.constant("t"));
    fc.assert(
      fc.property(fc.constantFrom(...types), text, (type, value) => {
        expect(to(type, null)).toBeNull();
        const once = convertValue(value, type);
        fc.pre(!(once instanceof Misfit) && (type !== "json" || typeof once !== "string"));
        expect(convertValue(once, type)).toEqual(once);
      }),
    );
  });
});

describe("records", () => {
  it("are converted by paths into objects and lists, and the one that was read stays as it was", () => {
    const record = {
      id: 1,
      meta: { price: "1.5", tags: [{ at: "2024-01-01" }, { at: null }, {}] },
      "a.b": "7",
      none: "x",
    };
    const before = structuredClone(record);
    const made = new Conversion({
      as: { "meta.price": "number", "meta.tags.at": "date", "a.b": "integer", missing: "date" },
    }).convert(record);
    expect(made).toEqual({
      id: 1,
      meta: { price: 1.5, tags: [{ at: new Date("2024-01-01") }, { at: null }, {}] },
      "a.b": 7,
      none: "x",
    });
    expect(record).toEqual(before);
  });

  it("fail on a value that does not fit, or keep it by choice and say so", () => {
    expect(() => convert({ as: { at: "date" } }, { at: "2024-02-30" })).toThrow(
      expect.objectContaining({ code: "CONVERSION_FAILED", message: expect.stringContaining('"2024-02-30"') }),
    );
    const keeping = new Conversion({ as: { at: "date", releesed: "json" }, misfits: "keep" });
    expect(keeping.convert({ id: 1, at: "2024-02-30", released: 1 })).toEqual({ id: 1, at: "2024-02-30", released: 1 });
    expect(keeping.notes()).toEqual([
      expect.stringContaining('"at"'),
      expect.stringMatching(/"releesed".*did you mean "?released/),
    ]);
  });

  it("are recognised where the whole text is a date of SQLite or JSON, and nowhere else", () => {
    const texts = {
      at: "2024-01-31 08:15:00",
      never: "2024-02-30 08:15:00",
      day: "2024-01-31",
      tags: '["a", {"n": NaN}]',
      draft: "[draft]",
      broken: '{"a":',
      rounded: "[0.1234567890123456789]",
      name: "true",
    };
    expect(convert({ recognise: true }, texts)).toEqual({
      id: 1,
      ...texts,
      at: new Date("2024-01-31T08:15:00Z"),
      tags: ["a", { n: Number.NaN }],
    });
    expect(convert({ recognise: ["json"] }, { at: texts.at })).toEqual({ id: 1, at: texts.at });
    expect(convert({ recognise: true, as: { at: "text" } }, { at: texts.at })).toEqual({ id: 1, at: texts.at });
    expect(new Conversion({ recognise: true }).convert({ id: "[1]" })).toEqual({ id: "[1]" });
  });

  it("are converted by a conversion that a checkpoint can name, whatever the order of its fields", () => {
    const name = conversionName({ as: { a: "date", b: "json" }, recognise: true });
    expect(conversionName({ as: { b: "json", a: "date" }, recognise: ["json", "dates"], misfits: "fail" })).toBe(name);
    expect(conversionName({ as: { a: "date", b: "text" }, recognise: true })).not.toBe(name);
    expect(conversionName({ as: {}, recognise: false, misfits: "keep" })).toBe("");
  });
});
