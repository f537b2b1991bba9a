import { type P2PValue, recordTrouble, TaggedValue } from "@omni/p2p-core/starter";
import { describe, expect, it } from "vitest";
import type { ColumnType } from "../src/client/table.ts";
import { decoderOf, ownDecoderOf } from "../src/values/decode.ts";
import { encodeCell } from "../src/values/encode.ts";
import { keepsTime } from "../src/values/time-texts.ts";

function base(name: string): ColumnType {
  return { oid: 0, schema: "pg_catalog", name, kind: "base", delimiter: "," };
}

function arrayOf(element: ColumnType): ColumnType {
  return { ...base(`_${element.name}`), kind: "array", element };
}

function decode(type: ColumnType, text: string): P2PValue {
  return decoderOf({ type, typmod: -1 }, { plain: false })(text);
}

function nested(levels: number, item = ""): string {
  return "[".repeat(levels) + item + "]".repeat(levels);
}

describe("long values", () => {
  it("are decimals where a record may hold them, and else tags at once", () => {
    const nines = "9".repeat(20_000);
    for (const sign of ["", "-"]) {
      expect(decode(base("numeric"), sign + nines)).toBe(BigInt(sign + nines));
      expect(decode(base("numeric"), `${sign}${nines}9`)).toEqual(
        new TaggedValue("postgresql:numeric", `${sign}${nines}9`),
      );
    }
    const list = `[${`${"1".repeat(300_000)},`.repeat(300)}0]`;
    expect(decode(base("jsonb"), list)).toEqual(new TaggedValue("postgresql:jsonb", list));
    const digits = "1".repeat(30_000_000);
    expect(decode(base("json"), digits)).toBeInstanceOf(TaggedValue);
  });

  it("are JSON of many escapes", () => {
    expect(decode(base("json"), `{"a":"${"\\n".repeat(10_000_000)}"}`)).toHaveProperty("a.length", 10_000_000);
  });

  it("are times of many spaces and zeros, of which each pattern looks at all once", () => {
    const [spaces, zeros] = [" ".repeat(100_000), "0".repeat(1_000_000)];
    for (const name of ["date", "time", "timestamp"]) {
      expect(keepsTime(name, -1, `00:00:00${spaces}x`)).toBe(false);
      expect(keepsTime(name, -1, `00:00:00.${zeros}1`)).toBe(false);
      expect(keepsTime(name, -1, `00:00:00.${zeros}${spaces}`)).toBe(true);
      expect(keepsTime(name, -1, `00:00:00${spaces}AM${spaces}BC${spaces}`)).toBe(true);
    }
    const yearToMonth = (((1 << 2) | (1 << 1)) << 16) | 0xffff;
    expect(keepsTime("interval", yearToMonth, `P${"T".repeat(1_000_000)}`)).toBe(true);
    expect(keepsTime("interval", yearToMonth, "PT1M")).toBe(false);
  });

  it("of texts that end in spaces are counted only where they might fit", () => {
    const column = { name: "c", type: base("varchar"), typmod: 4 + 3, declared: "varchar(3)" };
    expect(encodeCell(column, "\u{1d49c}\u{1d49c} ")).toBe("\u{1d49c}\u{1d49c} ");
    expect(() => encodeCell(column, " ".repeat(50_000_000))).toThrow(/cannot hold/);
  });
});

describe("deep JSON", () => {
  const isSound = (type: ColumnType, text: string) => {
    const value = decode(type, text);
    return recordTrouble({ id: 0, value }) === undefined && !(value instanceof TaggedValue);
  };

  it("is a tag where no record may hold it, whatever its texts hold", () => {
    for (const name of ["json", "jsonb"]) {
      expect(isSound(base(name), nested(99))).toBe(true);
      for (const text of [nested(100), nested(101), nested(5000), `${'["]",'.repeat(150)}1${"]".repeat(150)}`]) {
        expect(recordTrouble({ id: 0, value: decode(base(name), text) })).toBeUndefined();
      }
    }
  });

  it("counts the lists that it stands in", () => {
    const lists = arrayOf(base("jsonb"));
    for (const levels of [97, 98, 99, 100]) {
      const value = decode(lists, `{"${nested(levels)}"}`);
      expect(recordTrouble({ id: 0, value })).toBeUndefined();
      expect((value as P2PValue[])[0] instanceof TaggedValue).toBe(levels > 98);
    }
  });
});

describe("a decimal of ours in a column that others gave a scale", () => {
  it("is a bigint all the same", () => {
    const decodeOwn = ownDecoderOf({ type: base("numeric"), typmod: ((10 << 16) | 2) + 4 }, { plain: false });
    expect(decodeOwn("5.00")).toBe(5n);
    expect(decodeOwn("-12.00")).toBe(-12n);
    expect(decodeOwn("5.25")).toBe(5.25);
  });
});
