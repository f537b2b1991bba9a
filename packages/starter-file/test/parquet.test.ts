/** Parquet: what others write, what is written here, and both in bounded memory. */
import { readFileSync } from "node:fs";
import { type P2PRecord, type P2PValue, setField, TaggedValue } from "@omni/p2p-core/starter";
import { assertSameRecords, recordsArbitrary } from "@omni/p2p-testkit";
import * as fc from "fast-check";
import { ByteWriter, parquetWrite } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import { parquet } from "../src/formats/parquet.ts";
import { DECOMPRESSORS } from "../src/formats/parquet-codecs.ts";
import { convert, inputOf, read, told } from "./formats.ts";

/** Files that pyarrow 26 wrote. */
const fixture = (name: string): Buffer => readFileSync(new URL(`./fixtures/${name}.parquet`, import.meta.url));
const recordsOf = async (...given: Parameters<typeof read>): Promise<P2PRecord[]> =>
  (await read(...given)).map(({ fields }) => fields as P2PRecord);

describe("Parquet that others wrote", () => {
  it("is refused where its footer has decimals of a scale that would fill the memory", async () => {
    const write = (scale: number): Uint8Array => {
      const writer = new ByteWriter();
      const logical = { type: "DECIMAL", precision: 9, scale } as const;
      parquetWrite({
        writer,
        schema: [
          { name: "root", num_children: 1 },
          { name: "d", type: "INT32", repetition_type: "REQUIRED", logical_type: logical },
        ],
        columnData: [{ name: "d", data: [1500] }],
      });
      return writer.getBytes();
    };
    for (const scale of [2_000_000_000, -2_000_000_000]) {
      await expect(read(parquet, write(scale))).rejects.toMatchObject({
        code: "READ_FAILED",
        message: expect.stringContaining(`column "d" has decimals of scale ${scale}`),
      });
    }
    expect(await recordsOf(parquet, write(3))).toEqual([{ d: 1.5 }]);
  });

  it("gives every type without loss: what JavaScript has no type for is a tag", async () => {
    const [first, second, third] = await recordsOf(parquet, fixture("arrow-types"));
    const tag = (name: string, value: string) => new TaggedValue(`parquet:${name}`, value);
    expect(first).toEqual({
      id: 1,
      u64: 1,
      dec: 1.5,
      dec38: 12345678901234567890123456789012345678n,
      us: tag("timestamp", "2024-01-01T00:00:00.123456Z"),
      ns: tag("timestamp", "2024-01-01T00:00:00.123456789Z"),
      ms: new Date(0),
      day: new Date("2024-02-29"),
      time: tag("time", "00:00:00.000001"),
      list: [1, null, 3],
      nested: [["a"], null, []],
      st: { a: 1, b: [{ c: "x" }] },
      map: { k: 1, l: 2 },
      mapt: { k: [new Date("2024-01-01")] },
      bin: Uint8Array.of(0, 255),
      fix: new Uint8Array(Buffer.from("abc")),
      f32: 1.5,
      f16: 1.5,
      ok: true,
      dict: "x",
      nul: null,
      lt: [1.23],
      u32: 4294967295,
    });
    expect(second).toMatchObject({
      u64: 18446744073709551615n,
      dec: -0.01,
      us: new Date("2024-01-01T00:00:00.123Z"),
      list: [],
      nested: [],
      st: { a: null, b: [] },
      map: {},
      f32: Number.NaN,
      day: new Date("1900-01-01"),
    });
    expect(third).toMatchObject({
      id: 9007199254740993n,
      dec: tag("decimal", "12345678901234567.89"),
      us: tag("timestamp", "1969-12-31T23:59:59.999999Z"),
      st: null,
      map: null,
      list: null,
    });
    const types = new Map(
      (await parquet.schema!(inputOf(fixture("arrow-types")))).map(({ name, type }) => [name, type]),
    );
    expect(["id", "dec", "us", "day", "st", "map", "list", "bin"].map((name) => types.get(name))).toEqual([
      "INT64",
      "DECIMAL(20,2)",
      "TIMESTAMP(MICROS)",
      "DATE",
      "STRUCT",
      "MAP",
      "LIST",
      "BYTE_ARRAY",
    ]);
  });

  it.each(["snappy", "gzip", "brotli", "lz4", "zstd", "none"])(
    "is read when its pages are compressed by %s",
    async (codec) => {
      const expected = Array.from({ length: 300 }, (_, id) => ({
        id,
        word: id % 5 === 0 ? null : `word ${id % 7}`,
        tags: Array.from({ length: id % 4 }, () => "a"),
      }));
      expect(await recordsOf(parquet, fixture(`arrow-${codec}`))).toEqual(expected);
    },
  );

  it("is counted and divided between row groups, and read on from any row", async () => {
    const bytes = fixture("arrow-snappy");
    expect(await parquet.count!(inputOf(bytes))).toBe(300);
    const items = await read(parquet, bytes);
    for (const parts of [1, 2, 3, 9]) {
      const places = await parquet.split!(inputOf(bytes), parts);
      expect(places.length).toBe(Math.min(parts, 3) - 1);
      const bounds = [0, ...places, 300];
      const read1 = (i: number) => read(parquet, bytes, { start: { at: bounds[i]!, line: 1 }, upTo: bounds[i + 1]! });
      expect((await Promise.all(bounds.slice(0, -1).map((_, i) => read1(i)))).flat()).toEqual(items);
    }
    for (const at of [1, 127, 128, 200, 299])
      expect(await read(parquet, bytes, { start: items[at - 1]!.end })).toEqual(items.slice(at));
  });

  it("says so when it is none, torn or altered, and when it cannot be read at any place", async () => {
    const bytes = fixture("arrow-snappy");
    const altered = Buffer.from(bytes);
    altered.fill(0xff, 10, 400);
    for (const file of [
      Buffer.alloc(0),
      Buffer.from("id,name\n1,x\n".repeat(9)),
      bytes.subarray(0, bytes.length - 9),
      altered,
    ]) {
      await expect(read(parquet, file)).rejects.toMatchObject({
        code: "READ_FAILED",
        message: expect.stringContaining("file:x cannot be read as Parquet"),
      });
    }
    const { random: _, ...pipe } = inputOf(bytes);
    await expect(parquet.count!(pipe)).rejects.toMatchObject({ code: "UNSUPPORTED_OPERATION" });
  });

  it("a row group with an index of its pages is read in parts", async () => {
    const writer = new ByteWriter();
    const data = Array.from({ length: 48 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(1 << 20));
    parquetWrite({
      writer,
      columnData: [{ name: "t", data, type: "STRING" }],
      codec: "UNCOMPRESSED",
      rowGroupSize: 48,
    });
    const input = inputOf(writer.getBytes());
    let bytes = 0;
    const random = {
      ...input.random!,
      read: async (offset: number, length: number) => {
        bytes += length;
        return input.random!.read(offset, length);
      },
    };
    let rows = 0;
    let first: number | undefined;
    for await (const items of parquet.read({ ...input, random })) {
      first ??= bytes;
      for (const { fields } of items) expect(fields!.t === data[rows++]).toBe(true);
    }
    expect(rows).toBe(48);
    expect(first).toBeLessThan(36 * (1 << 20));
  });
});

/** What Parquet makes of records: where a field is null in one and absent in another, both are null. */
function asRead(records: readonly P2PRecord[]): P2PRecord[] {
  const nullable = new Set(records.flatMap((record) => Object.keys(record).filter((field) => record[field] === null)));
  return records.map((record) => {
    const fields: Record<string, P2PValue> = {};
    for (const field of nullable) setField(fields, field, null);
    for (const [field, value] of Object.entries(record)) setField(fields, field, value!);
    return fields as unknown as P2PRecord;
  });
}

describe("LZ4 pages of Parquet", () => {
  const block = Uint8Array.of(0x30, 0x61, 0x62, 0x63);
  const framed = (plain: number, compressed: number, bytes: Uint8Array) => {
    const frame = Buffer.alloc(8 + bytes.length);
    frame.writeUInt32BE(plain >>> 0, 0);
    frame.writeUInt32BE(compressed >>> 0, 4);
    frame.set(bytes, 8);
    return frame;
  };
  const text = (page: Uint8Array, length: number) => Buffer.from(DECOMPRESSORS.LZ4!(page, length)).toString();

  it("come as one block, or framed as Hadoop does", () => {
    expect(text(block, 3)).toBe("abc");
    expect(text(Buffer.concat([framed(3, 4, block), framed(3, 4, block)]), 6)).toBe("abcabc");
  });

  it("end when a frame is damaged, whatever its lengths", () => {
    for (const [plain, compressed] of [
      [0, -8],
      [0, 0],
      [3, -1],
      [-1, 4],
    ] as const) {
      const page = Buffer.concat([framed(plain, compressed, block), framed(3, 4, block)]);
      expect(() => text(page, 6)).toThrow(/lz4|offset|range/i);
    }
  });
});

describe("Parquet that is written", () => {
  it("every value type comes back, whatever a column has in it", async () => {
    await fc.assert(
      fc.asyncProperty(
        recordsArbitrary({ maxStringLength: 200 }, { maxLength: 8 }),
        fc.constantFrom("snappy", "zstd", "gzip", "none"),
        fc.integer({ min: 1, max: 5 }),
        async (records, codec, rowGroup) => {
          const { bytes } = await convert(parquet, records, { codec, rowGroup });
          const found = await recordsOf(parquet, bytes);
          assertSameRecords(found, asRead(records), { ordered: true });
          assertSameRecords(found.map(parquet.comparable!), records.map(parquet.comparable!));
        },
      ),
      { numRuns: 30 },
    );
  });

  it("has the types of Parquet where a column is of one kind, and JSON elsewhere", async () => {
    const { bytes } = await convert(parquet, [
      { id: 1, whole: 2 ** 40, real: 1.5, big: 5n, huge: 2n ** 70n, text: "x", at: new Date(5), raw: Uint8Array.of(1) },
      { id: 2, on: true, mixed: 1, list: [1, 2n], nil: null },
      { id: 3, on: false, mixed: "1" },
    ] as unknown as P2PRecord[]);
    const types = (await parquet.schema!(inputOf(bytes))).map(({ name, type }) => `${name} ${type}`);
    expect(types).toEqual([
      "id INT32",
      "whole INT64",
      "real DOUBLE",
      "big INT64",
      "huge DECIMAL(38,0)",
      "text STRING",
      "at TIMESTAMP(MILLIS)",
      "raw BYTE_ARRAY",
      "on BOOLEAN",
      "mixed JSON",
      "list JSON",
      "nil STRING",
    ]);
    expect((await recordsOf(parquet, bytes))[2]).toEqual({ id: 3, on: false, mixed: "1", nil: null });
  });

  it("goes out row group by row group, and a file of no records is one", async () => {
    const records = Array.from({ length: 1000 }, (_, id) => ({ id, t: `${id}` })) as unknown as P2PRecord[];
    const { bytes, writes } = await convert(parquet, records, { rowGroup: 100 });
    expect(writes).toBe(11);
    expect(told(await read(parquet, bytes))).toEqual(records);
    expect(await read(parquet, (await convert(parquet, [])).bytes)).toEqual([]);
  });
});
