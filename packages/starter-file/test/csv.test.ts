/** CSV and TSV: dialects, types, wrong rows, and that what is written comes back. */
import { idKey, type P2PRecord, type P2PValue, setField, TaggedValue } from "@omni/p2p-core/starter";
import { assertSameRecords, recordsArbitrary, SAMPLE_VALUES } from "@omni/p2p-testkit";
import { parse } from "csv-parse/sync";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { csv, tsv } from "../src/formats/csv.ts";
import { textEncoding } from "../src/formats/csv-encoding.ts";
import { inputOf, optionsOf, read, told, write } from "./formats.ts";

const fieldsOf = async (...given: Parameters<typeof read>): Promise<unknown[]> => told(await read(...given));

describe("dialects of CSV", () => {
  it("finds the delimiter by the rows that it divides alike", async () => {
    expect(await fieldsOf(csv, "a;b\n1,5;x, y\n2,5;z\n")).toEqual([
      { a: "1,5", b: "x, y" },
      { a: "2,5", b: "z" },
    ]);
    expect(await fieldsOf(csv, "a\tb, c\n1\t2\n")).toEqual([{ a: 1, "b, c": 2 }]);
    expect(await fieldsOf(csv, "a|b\n1|2\n")).toEqual([{ a: 1, b: 2 }]);
    expect(await fieldsOf(tsv, "a,b\tc\n1,2\t3\n")).toEqual([{ "a,b": "1,2", c: 3 }]);
    expect(await fieldsOf(csv, "a,b;c\n1,2;3\n", { options: { delimiter: "semicolon" } })).toEqual([
      { "a,b": "1,2", c: 3 },
    ]);
    expect(await fieldsOf(csv, "only\n1\n2\n")).toEqual([{ only: 1 }, { only: 2 }]);
  });

  it("heeds the line by which Excel tells the delimiter", async () => {
    expect(await fieldsOf(csv, "sep=;\r\na,b;c\r\n1,5;2\r\n3\r\n")).toEqual([
      { "a,b": "1,5", c: 2 },
      expect.stringMatching(/^Line 4 /),
    ]);
    expect(await fieldsOf(csv, Buffer.from("\ufeffsep=\t\na,b\tc\n1\t2\n", "utf16le"))).toEqual([{ "a,b": 1, c: 2 }]);
  });

  it("refuses what has no rows", async () => {
    await expect(read(csv, "x".repeat(1_100_000))).rejects.toMatchObject({
      code: "READ_FAILED",
      message: expect.stringContaining("no end of a row within its first"),
    });
  });

  it("takes names of its own where there is no header, and the user's where they are given", async () => {
    const options = { header: false };
    expect(await fieldsOf(csv, "1,x\n2,y\n", { options })).toEqual([
      { column1: 1, column2: "x" },
      { column1: 2, column2: "y" },
    ]);
    expect(await fieldsOf(csv, "1,x\n", { options: { ...options, columns: "id, name" } })).toEqual([
      { id: 1, name: "x" },
    ]);
    expect(await fieldsOf(csv, "a,a\n1,x\n", { options: { columns: "id,name" } })).toEqual([{ id: 1, name: "x" }]);
    await expect(read(csv, "a,b,c\n", { options: { columns: "id,name" } })).rejects.toMatchObject({
      code: "INVALID_ENDPOINT",
      message: expect.stringContaining("2 columns, and line 1 of the file has 3"),
    });
    expect(await fieldsOf(csv, ",b\n1,2\n")).toEqual([{ column1: 1, b: 2 }]);
  });

  it("refuses columns of one name, with the names", async () => {
    await expect(read(csv, "id,name,id,name,x\n1,2,3,4,5\n")).rejects.toMatchObject({
      code: "READ_FAILED",
      message: expect.stringMatching(/id, name\. .*option columns, 5 with commas/),
    });
  });

  it("reads every encoding by its mark or by the option, also one without a mark in UTF-16", async () => {
    const text = "id,name\r\n1,Zoë €\r\n";
    const expected = [{ id: 1, name: "Zoë €" }];
    const utf16 = Buffer.from(text, "utf16le");
    for (const [bytes, options] of [
      [Buffer.from(text), {}],
      [Buffer.from(`\ufeff${text}`), {}],
      [Buffer.from(`\ufeff${text}`), { encoding: "utf8" }],
      [utf16, {}],
      [Buffer.from(`\ufeff${text}`, "utf16le"), {}],
      [Buffer.from(utf16).swap16(), {}],
      [Buffer.from(`\ufeff${text}`, "utf16le").swap16(), {}],
      [Buffer.from(text.replace("€", "\u0080"), "latin1"), { encoding: "latin1" }],
    ] as const) {
      for (const chunks of [[], [1], [3, 2]]) expect(await fieldsOf(csv, bytes, { options, chunks })).toEqual(expected);
    }
    const gbk = Buffer.from([0x69, 0x64, 0x2c, 0x6e, 0x0a, 0x31, 0x2c, 0xd6, 0xd0, 0xce, 0xc4, 0x0a]);
    expect(await fieldsOf(csv, gbk, { options: { encoding: "gb18030" } })).toEqual([{ id: 1, n: "中文" }]);
    for (const [options, message] of [
      [{ encoding: "klingon" }, "not known here"],
      [{ encoding: "gbk", delimiter: "|" }, "can be a part of another character"],
      [{ delimiter: "ab" }, "one ASCII character"],
      [{ delimiter: '"' }, "the same character"],
      [{ types: "a:integer" }, 'types has "a:integer"'],
      [{ types: "b:number" }, 'the column "b"'],
    ] as const) {
      await expect(read(csv, "a\n1\n", { options })).rejects.toMatchObject({
        code: "INVALID_ENDPOINT",
        message: expect.stringContaining(message),
      });
    }
  });

  it("makes failures of rows whose bytes are no text, and reads the others", async () => {
    const bytes = Buffer.concat([Buffer.from("id,n\n1,é\n2,"), Buffer.from([0xe9]), Buffer.from("\n3,ü\n")]);
    expect(await fieldsOf(csv, bytes)).toEqual([
      { id: 1, n: "é" },
      expect.stringMatching(/^Line 3 holds bytes that are no utf-8.*encoding=/),
      { id: 3, n: "ü" },
    ]);
    const lone = Buffer.concat([
      Buffer.from("\ufeffid,n\n1,", "utf16le"),
      Buffer.from([0x00, 0xd8]),
      Buffer.from("\n2,b\n", "utf16le"),
    ]);
    expect(await fieldsOf(csv, lone)).toEqual([expect.stringContaining("Line 2 holds bytes"), { id: 2, n: "b" }]);
  });
});

describe("wrong rows of CSV", () => {
  it("are failures with their line, and the next is read", async () => {
    const file = 'id,a,b\n1,x\n2,x,y\n3,x,y,z\n\nid,a,b\n4,"x\ny",z\n5,"x"y,z\n6,x,y\n7,"x';
    expect(await fieldsOf(csv, file)).toEqual([
      expect.stringMatching(/^Line 2 has 2 cells where there are 3 columns/),
      { id: 2, a: "x", b: "y" },
      expect.stringMatching(/^Line 4 has 4 cells/),
      expect.stringMatching(/^Line 6 is the header once more/),
      { id: 4, a: "x\ny", b: "z" },
      expect.stringMatching(/^Line 9 has text between a closing quote/),
      { id: 6, a: "x", b: "y" },
      expect.stringMatching(/^Line 11 has a quote that is never closed/),
    ]);
  });

  it("may be longer than is allowed, also by far, and take no more memory than that", async () => {
    const options = { maxLine: 1024 };
    const file = `id,a\n1,${"x".repeat(3_000_000)}\n2,"${"y\n".repeat(900)}"\n3,z\n`;
    const items = await read(csv, file, { options, chunks: [4096] });
    expect(told(items.slice(0, 2))).toEqual([
      expect.stringMatching(/^Line 2 begins a record of more than 1024 bytes/),
      expect.stringMatching(/^Line 3 begins a record of more than 1024 bytes/),
    ]);
    expect(items.at(-1)!.fields).toEqual({ id: 3, a: "z" });
  });

  it("give an empty file no records, and one of a header alone none either", async () => {
    for (const file of ["", "\ufeff", "id,a", "id,a\n", "\n\n"]) expect(await read(csv, file)).toEqual([]);
  });
});

describe("types of CSV", () => {
  it("are inferred from a sample: zeros in front, large integers, dates, booleans, what is empty", async () => {
    const file = [
      "id,zip,big,day,at,flag,mixed,sci,article,note,precise,local",
      '1,007,9007199254740993,2024-02-29,2024-01-01T10:00:00+02:00,true,1,1.5e-7,12E5,"",0.1,2024-01-01 10:00:00',
      "2,12345,1,2024-01-31,2024-01-01T10:00:00Z,FALSE,x,2,13E5,,0.1234567890123456789,2024-01-01 11:00:00",
      "",
    ].join("\n");
    expect(await fieldsOf(csv, file)).toEqual([
      {
        id: 1,
        zip: "007",
        big: 9007199254740993n,
        day: new Date("2024-02-29"),
        at: new Date("2024-01-01T08:00:00Z"),
        flag: true,
        mixed: "1",
        sci: 1.5e-7,
        article: "12E5",
        note: "",
        precise: "0.1",
        local: "2024-01-01 10:00:00",
      },
      {
        id: 2,
        zip: "12345",
        big: 1,
        day: new Date("2024-01-31"),
        at: new Date("2024-01-01T10:00:00Z"),
        flag: false,
        mixed: "x",
        sci: 2,
        article: "13E5",
        note: null,
        precise: "0.1234567890123456789",
        local: "2024-01-01 11:00:00",
      },
    ]);
    // A day that there is not is no date.
    expect(await fieldsOf(csv, "d,t\n2024-02-30,x\n")).toEqual([{ d: "2024-02-30", t: "x" }]);
  });

  it("go by columns, and a later cell that does not fit stays as it stands", async () => {
    const file = `code,word\n${"12,a\n".repeat(1000)}0012,b\nA12,c\n`;
    expect((await fieldsOf(csv, file)).slice(999)).toEqual([
      { code: 12, word: "a" },
      { code: "0012", word: "b" },
      { code: "A12", word: "c" },
    ]);
    expect(await fieldsOf(csv, "a,b\n1,x\n", { options: { sample: 0 } })).toEqual([{ a: "1", b: "x" }]);
  });

  it.each([
    ["12345678901.234567", "12345678901.234567"],
    ["9007199254740993.5", "9007199254740993.5"],
    ["-1234567890.1234567", -1234567890.1234567],
    ["12345678901.23456", 12345678901.23456],
    ["0.12345678901234567", "0.12345678901234567"],
    ["0.10000000000000001", 0.1],
    ["1.234567890123450", 1.23456789012345],
    ["1234567890123456.0", 1234567890123456],
    ["0.000000000000000000000", 0],
    ["1.7976931348623157e+308", Number.MAX_VALUE],
    ["5e-324", Number.MIN_VALUE],
    ["5.684341886080802e-14", 2 ** -44],
    ["1.5e-324", "1.5e-324"],
    ["1e-400", "1e-400"],
    ["12345.6789012e-320", "12345.6789012e-320"],
  ])("leave the number %s as a text where it would lose digits", async (cell, wanted) => {
    expect(await fieldsOf(csv, `id,n\n1,1.5\n2,${cell}\n`, { options: { sample: 1 } })).toEqual([
      { id: 1, n: 1.5 },
      { id: 2, n: wanted },
    ]);
  });

  it("read every number as it was that programs write in its shortest form", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }),
        async (list) => {
          const numbers = list.map((number) => (Number.isInteger(number) ? 0.5 : number));
          const read = await fieldsOf(csv, `n\n${numbers.join("\n")}\n`);
          expect(read).toEqual(numbers.map((n) => ({ n })));
        },
      ),
    );
  });

  it("heed quotes where they stand around text alone, and not where they stand around everything", async () => {
    expect(await fieldsOf(csv, 'id,n\n1,"42"\n2,"x"\n')).toEqual([
      { id: 1, n: "42" },
      { id: 2, n: "x" },
    ]);
    expect(await fieldsOf(csv, '"id","n","t"\n"1","42","x"\n"2","","" \n'.replace('"" ', '""'))).toEqual([
      { id: 1, n: 42, t: "x" },
      { id: 2, n: null, t: "" },
    ]);
    expect(await fieldsOf(csv, "id,t,u\n1,x,\n2,,y\n")).toEqual([
      { id: 1, t: "x", u: null },
      { id: 2, t: null, u: "y" },
    ]);
  });

  it("tells at once that a long cell is not of its type, whatever the type", async () => {
    const digits = "1".repeat(400_000);
    for (const type of ["number", "bigint", "boolean", "date", "json"]) {
      const items = await read(csv, `id,v\n1,${digits}x\n`, { options: { types: `v:${type}` } });
      expect(told(items)).toEqual([expect.stringMatching(/^Line 2 has in column "v" what is not of its type: /)]);
    }
  });

  it("may be given, and then a cell of another type is a failure", async () => {
    const options = { types: "price:number,n:bigint,day:date,ok:boolean,j:json,*:text" };
    const file = [
      "id,price,n,day,ok,j",
      '007,+1.50,5,2024-02-29 10:00:00,yes,"[1,{""a"":9007199254740993}]"',
      "8,x,5,,,",
      "9,,5.5,,,",
      "10,,,2024-02-30,,",
      "11,,,2024-01-01T00:00:00.123456Z,,",
      "12,,,,maybe,",
      "13,,,,,{",
      "14,9007199254740993,,,,",
      '15,"","","","",""',
      "",
    ].join("\n");
    expect(await fieldsOf(csv, file, { options })).toEqual([
      {
        id: "007",
        price: 1.5,
        n: 5n,
        day: new Date("2024-02-29T10:00:00Z"),
        ok: true,
        j: [1, { a: 9007199254740993n }],
      },
      expect.stringMatching(/^Line 3 has in column "price".*"x" is no number/),
      expect.stringMatching(/^Line 4 .*"5.5" is no integer/),
      expect.stringMatching(/^Line 5 .*"2024-02-30" is no date/),
      expect.stringMatching(/^Line 6 .*finer than a millisecond/),
      expect.stringMatching(/^Line 7 .*neither true nor false/),
      expect.stringMatching(/^Line 8 .*is no JSON/),
      expect.stringMatching(/^Line 9 .*bigint keeps them/),
      { id: "15", price: null, n: null, day: null, ok: null, j: null },
    ]);
  });
});

/** What CSV makes of a record: every column is there, and an integer that a number holds is a number. */
function asRead(record: P2PRecord, columns: readonly string[]): P2PRecord {
  const fields: Record<string, P2PValue> = {};
  for (const column of columns) {
    const value = Object.hasOwn(record, column) ? (record[column] ?? null) : null;
    const isSmall = typeof value === "bigint" && Number.isSafeInteger(Number(value));
    setField(fields, column, isSmall ? Number(value) : value);
  }
  return fields as unknown as P2PRecord;
}

describe("writing CSV", () => {
  const withNames = (records: readonly P2PRecord[]): P2PRecord[] =>
    records.filter((record) => !Object.hasOwn(record, "") && Object.keys(record).length > 0);

  it("every value type comes back, however the file is cut and with whatever dialect", async () => {
    const dialect = fc.constantFrom<Record<string, string>>(
      {},
      { delimiter: "tab" },
      { delimiter: ";", encoding: "utf-16le" },
      { encoding: "utf-16be", quote: "'" },
    );
    await fc.assert(
      fc.asyncProperty(
        recordsArbitrary({ maxStringLength: 200 }, { maxLength: 6 }),
        dialect,
        fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 3 }),
        async (made, options, chunks) => {
          const records = withNames(made);
          const { bytes, failures } = await write(csv, records, options);
          expect(failures).toEqual([]);
          const columns = [...new Set(records.flatMap((record) => Object.keys(record)))];
          // The marks in the bytes tell the encoding; the quote has to be told.
          const { encoding: _, ...known } = options;
          const items = await read(csv, bytes, { options: known, chunks });
          const expected = records.map((record) => asRead(record, columns));
          const found = items.map(({ fields }) => fields as P2PRecord);
          assertSameRecords(found, expected, { ordered: true });
          assertSameRecords(found.map(csv.comparable!), records.map(csv.comparable!));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("tells each sample value from all others, column by column", async () => {
    const values = Object.values(SAMPLE_VALUES).flat() as P2PValue[];
    const records = values.map((value, i) => ({ id: i, value })) as unknown as P2PRecord[];
    const { bytes } = await write(csv, records);
    assertSameRecords(
      (await read(csv, bytes)).map(({ fields }) => fields as P2PRecord),
      records.map((record) => asRead(record, ["id", "value"])),
    );
  });

  it("writes one header, quotes text alone, and JSON where CSV has no such type", async () => {
    const records = [
      { id: 1, t: 'a "b", c\n', n: 1.5, on: true, at: new Date(0), tags: ["x", 2n], raw: Uint8Array.of(1), nil: null },
      {
        id: 2,
        t: "42",
        n: 1e20,
        on: false,
        at: null,
        tags: {},
        raw: new TaggedValue("mongodb:objectId", "65"),
        nil: null,
      },
    ] as unknown as P2PRecord[];
    const { bytes } = await write(csv, records, {}, { batch: 1 });
    expect(bytes.toString()).toBe(
      [
        "id,t,n,on,at,tags,raw,nil",
        '1,"a ""b"", c\n",1.5,true,1970-01-01T00:00:00.000Z,"[""x"",{""$p2p"":""bigint"",""value"":""2""}]","{""$p2p"":""bytes"",""value"":""AQ==""}",',
        '2,"42",1e+20,false,,"{}","{""$p2p"":""mongodb:objectId"",""value"":""65""}",',
        "",
      ].join("\n"),
    );
    // As any other reader sees it.
    expect(parse(bytes.toString(), { columns: true })[0]).toMatchObject({ id: "1", t: 'a "b", c\n', n: "1.5" });
  });

  it("fixes the columns by the first records or by the option, and says what to do about another field", async () => {
    const records = [{ id: 1, a: 1 }, { id: 2, b: 2 }, { id: 3, aa: 1 }, { id: 4 }] as unknown as P2PRecord[];
    const first = await write(csv, records, {}, { batch: 2 });
    expect(first.bytes.toString()).toBe("id,a,b\n1,1,\n2,,2\n4,,\n");
    expect(first.failures).toMatchObject([{ index: 2, id: 3, error: { code: "TYPE_MISMATCH" } }]);
    expect(first.failures[0]!.error.message).toMatch(/no column "aa" .*did you mean.*option columns.*NDJSON/i);
    const given = await write(csv, records, { columns: "aa,id" });
    expect(given.bytes.toString()).toBe("aa,id\n1,3\n,4\n");
    expect(given.failures.map(({ index }) => index)).toEqual([0, 1]);
    expect((await write(csv, [], { columns: "a,id" })).bytes.toString()).toBe("a,id\n");
  });

  it("goes on after a kill without a second header, and appends by the columns and the dialect that are there", async () => {
    const state = { columns: ["id", "a"], delimiter: ";", encoding: "utf-8" };
    expect((await write(csv, [{ id: 2, a: "x" }], { delimiter: ";" }, { state })).bytes.toString()).toBe('2;"x"\n');
    const utf16 = Buffer.from("\ufeffid;a\n1;y", "utf16le");
    const { bytes, failures } = await write(
      csv,
      [
        { id: 2, a: "x" },
        { id: 3, c: 1 },
      ],
      {},
      { appendTo: inputOf(utf16) },
    );
    expect(failures.map(({ index }) => index)).toEqual([1]);
    expect(bytes.toString("utf16le")).toBe('\n2;"x"\n');
    expect(await fieldsOf(csv, Buffer.concat([utf16, bytes]))).toEqual([
      { id: 1, a: "y" },
      { id: 2, a: "x" },
    ]);
    expect((await write(csv, [{ id: 1 }], {}, { appendTo: inputOf(Buffer.from("")) })).bytes.toString()).toBe(
      "id\n1\n",
    );
  });

  it.each([
    ["id\n1\n2\n7", "utf-8", "\n8\n"],
    ["id\n1\n2\n", "utf-8", "8\n"],
    ["id\r1\r", "utf-8", "8\n"],
    ["\ufeffid\n7", "utf-16le", "\n8\n"],
    ["\ufeffid\n7\n", "utf-16le", "8\n"],
    // Characters of which a byte is that of a line feed.
    ["\ufeffid\n\u0d00", "utf-16le", "\n8\n"],
    ["\ufeffid\n\u010a", "utf-16le", "\n8\n"],
    ["\ufeffid\n7\n", "utf-16be", "8\n"],
    ["\ufeffid\n\u0a01", "utf-16be", "\n8\n"],
  ])("appends to %j in %s on a line of its own, also by chunks of a byte", async (old, encoding, wanted) => {
    const encode = textEncoding(encoding)!;
    const { random: _, ...stream } = inputOf(encode(old)!, { chunks: [1] });
    for (const appendTo of [inputOf(encode(old)!), stream]) {
      const { bytes } = await write(csv, [{ id: 8 }], { encoding }, { appendTo });
      expect(bytes).toEqual(encode(wanted));
    }
  });

  it("keeps what an append has begun with while none of it is written", async () => {
    const appendTo = inputOf(Buffer.from("id;a\n1;2"));
    const begun = await csv.writer!({ label: "file:y", options: optionsOf(), appendTo });
    expect((await begun.encode([{ id: 3, unknown: 1 } as unknown as P2PRecord])).failures).toHaveLength(1);
    const { state } = begun;
    const { bytes } = await write(csv, [{ id: 3, a: 4 } as unknown as P2PRecord], {}, { state });
    expect(bytes.toString()).toBe("\n3;4\n");
    await begun.encode([{ id: 3, a: 4 } as unknown as P2PRecord]);
    const later = await write(csv, [{ id: 5, a: 6 } as unknown as P2PRecord], {}, { state: begun.state });
    expect(later.bytes.toString()).toBe("5;6\n");
  });

  it("refuses what an encoding lacks, record by record, and encodings that are only read", async () => {
    const records = [
      { id: 1, t: "é €" },
      { id: 2, t: "中" },
    ] as unknown as P2PRecord[];
    const { bytes, failures } = await write(csv, records, { encoding: "windows-1252" });
    expect(bytes.toString("latin1")).toBe('id,t\n1,"é \u0080"\n');
    expect(failures).toMatchObject([{ index: 1, error: { message: expect.stringContaining("windows-1252 lacks") } }]);
    await expect(write(csv, records, { encoding: "gbk" })).rejects.toMatchObject({ code: "INVALID_ENDPOINT" });
    expect((await write(csv, [{ id: 1 }], { bom: true })).bytes.toString()).toBe("\ufeffid\n1\n");
    expect((await write(csv, [{ id: 1, t: "a,b" }], { quote: "none" })).failures).toHaveLength(1);
  });
});

describe("resuming CSV", () => {
  it("goes on from the end of any item with the same types, and stops where a part ends", async () => {
    const records = Array.from({ length: 40 }, (_, i) => ({
      id: i,
      t: i % 3 === 0 ? `é\n"${i}"` : `${i}`,
      n: i % 2 === 0 ? null : i / 4,
    })) as unknown as P2PRecord[];
    const { bytes } = await write(csv, records);
    const items = await read(csv, bytes);
    expect(items.map(({ fields }) => idKey((fields as P2PRecord).id))).toHaveLength(40);
    for (let i = 0; i < items.length; i++) {
      expect(await read(csv, bytes, { start: items[i]!.end, chunks: [50] })).toEqual(items.slice(i + 1));
      expect(await read(csv, bytes, { upTo: items[i]!.end.at, chunks: [33] })).toEqual(items.slice(0, i + 1));
    }
  });
});
