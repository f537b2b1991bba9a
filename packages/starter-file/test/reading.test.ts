import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { P2PDataTransferService, P2PQuery } from "@omni/p2p-core/starter";
import { describe, expect, it } from "vitest";
import { batchesOf, calm, fileWith, openSource, read, temporaryFolder, transfer } from "./support.ts";

const lines = (count: number, from = 0): string =>
  Array.from({ length: count }, (_, i) => `{"id":${from + i},"text":"record ${from + i}"}\n`).join("");

async function idsOf(source: P2PDataTransferService, query: P2PQuery = {}): Promise<unknown[]> {
  const ids: unknown[] = [];
  for await (const { records } of source.readFromSource(query, { batchSize: 100, signal: calm() })) {
    ids.push(...records.map(({ id }) => id));
  }
  return ids;
}

describe("NDJSON that is not as it should be", () => {
  it("a byte-order mark, carriage returns and empty lines are let pass", async () => {
    const path = fileWith('\ufeff{"id":1}\r\n\r\n  \n{"id":2}\r\n\n');
    expect(await read(`file:${path}`)).toEqual({ records: [{ id: 1 }, { id: 2 }], failures: [] });
  });

  it("each wrong line is a failure with its number, and the others are read", async () => {
    const wrong = ['{"id":1}', "{nope}", '"text"', "[1]", "null", '{"text":"no id"}', '{"id":8}'].join("\n");
    const path = fileWith(
      Buffer.concat([
        Buffer.from(`${wrong}\n`),
        Buffer.from([0x7b, 0xff, 0x7d, 0x0a]),
        Buffer.from('{"id":9}\n{"id":10,"te'),
      ]),
    );
    const { records, failures } = await read(`file:${path}`);
    expect(records.map(({ id }) => id)).toEqual([1, 8, 9]);
    expect(failures).toEqual([
      expect.stringMatching(/INVALID_RECORD: Line 2 of in\.ndjson: it is no JSON/),
      expect.stringMatching(/Line 3 .*a string/),
      expect.stringMatching(/Line 4 .*an array/),
      expect.stringMatching(/Line 5 .*null/),
      expect.stringMatching(/Line 6 .*"id", which names it, is missing.*\?key=/),
      expect.stringMatching(/Line 8 .*not in UTF-8/),
      expect.stringMatching(/Line 10 .*the file ends in the middle of it, so its last line is torn/),
    ]);
    expect(failures.join()).not.toContain("no id");
  });

  it("a last line without its end is a record where it is whole", async () => {
    expect((await read(`file:${fileWith('{"id":1}\n{"id":2}')}`)).records).toHaveLength(2);
  });

  it("a line that is too long is one failure, and is not kept in memory", async () => {
    const path = fileWith(`{"id":1}\n{"id":2,"x":"${"y".repeat(3_000_000)}"}\n{"id":3}\n`);
    const { records, failures } = await read(`file:${path}?maxLine=100000`);
    expect(records).toEqual([{ id: 1 }, { id: 3 }]);
    expect(failures).toEqual([
      expect.stringMatching(/RECORD_TOO_LARGE: Line 2 of in\.ndjson: it has 30000\d\d bytes, .*maxLine/),
    ]);
  });

  it("UTF-16 is told with the way out", async () => {
    const path = fileWith(Buffer.from('\ufeff{"id":1}\n', "utf16le"));
    await expect(read(`file:${path}`)).rejects.toThrow(/UTF-16.*iconv/);
  });

  it("integers keep all their digits", async () => {
    const path = fileWith('{"id":12345678901234567890,"n":[9007199254740993,1.5,1e30,9007199254740991]}\n');
    expect((await read(`file:${path}`)).records).toEqual([
      { id: 12345678901234567890n, n: [9007199254740993n, 1.5, 1e30, 9007199254740991] },
    ]);
  });
});

describe("what names a record", () => {
  it.each([
    ['{"_id":"a","x":1}\n{"_id":"b"}\n', "", [{ id: "a", x: 1 }, { id: "b" }]],
    [
      '{"x":1}\n\n{"x":2}\n',
      "",
      [
        { id: 1, x: 1 },
        { id: 3, x: 2 },
      ],
    ],
    ['{"sku":"a","id":7}\n', "?key=sku", [{ id: "a", sku: "a", _id: 7 }]],
    ['{"a":1,"b":"x"}\n', "?key=a,b", [{ id: '[1,"x"]', a: 1, b: "x" }]],
  ])("%j with %j", async (content, options, records) => {
    expect((await read(`file:${fileWith(content)}${options}`)).records).toEqual(records);
  });

  it("is its file and line, in several files without ids", async () => {
    const folder = temporaryFolder();
    fileWith('{"x":1}\n', "a.ndjson", folder);
    fileWith('{"x":2}\n{"x":3}\n', "b.ndjson", folder);
    const ids = (await read(`file:${folder}/*.ndjson`)).records.map(({ id }) => id);
    expect(ids).toEqual(["a.ndjson:1", "b.ndjson:1", "b.ndjson:2"]);
  });
});

describe("JSON arrays", () => {
  it.each([
    ["[]", []],
    [" [ ] ", []],
    ['\ufeff[{"id":1,"t":"]},{\\"\\\\"} , {"id":2}]\n', [{ id: 1, t: ']},{"\\' }, { id: 2 }]],
    ['{"id":1}\n{"id":2} {"id":3}', [{ id: 1 }, { id: 2 }, { id: 3 }]],
    ['{"id":1,"deep":{"a":[{}]}}', [{ id: 1, deep: { a: [{}] } }]],
  ])("%j", async (content, records) => {
    expect(await read(`file:${fileWith(content, "in.json")}`)).toEqual({ records, failures: [] });
  });

  it("an element that is no record is a failure by its number", async () => {
    const { records, failures } = await read(`file:${fileWith('[1,{"id":2},"x",null,{bad},[{"id":1}]]', "in.json")}`);
    expect(records).toEqual([{ id: 2 }]);
    expect(failures.map((text) => /Record (\d)/.exec(text)?.[1])).toEqual(["1", "3", "4", "5", "6"]);
  });

  it.each([
    ['[{"id":1},', /ends before its array does/],
    ['[{"id":1},{"id"', /record 2 is torn/],
    ['[{"id":1}] x', /"x" stands after the end/],
    ['[{"id":1},,{"id":2}]', /"," stands where a record should be, at byte 10/],
    ['[{"id":1} {"id":2}]', /comma/],
  ])("%j ends with what is wrong, after the records before it", async (content, message) => {
    const source = await openSource(`file:${fileWith(content, "in.json")}`);
    const batches = source.readFromSource({}, { batchSize: 1, signal: calm() })[Symbol.asyncIterator]();
    expect((await batches.next()).value.records).toEqual([{ id: 1 }]);
    await expect(
      (async () => {
        while (!(await batches.next()).done);
      })(),
    ).rejects.toThrow(message);
  });
});

describe("which files", () => {
  it("a glob is one source, in the order of names, compressed or not", async () => {
    const folder = temporaryFolder();
    fileWith(gzipSync(lines(3)), "a.ndjson.gz", folder);
    fileWith(lines(2, 3), "b.ndjson", folder);
    fileWith(zstdCompressSync(lines(2, 5)), "c.ndjson.zst", folder);
    fileWith("nothing of ours", ".hidden.ndjson", folder);
    const { records } = await read(`file:${folder}/*.ndjson*`);
    expect(records.map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it("a link is followed, and a folder and a pattern of nothing are told with the way out", async () => {
    const folder = temporaryFolder();
    symlinkSync(fileWith(lines(2)), join(folder, "link.ndjson"));
    mkdirSync(join(folder, "sub"));
    expect((await read(`file:${folder}/link.ndjson`)).records).toHaveLength(2);
    await expect(read(`file:${folder}/sub?format=ndjson`)).rejects.toThrow(/is a folder.*\*\.ndjson/);
    await expect(read(`file:${folder}/*.json`)).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
    await expect(read(`file:${fileWith("", "x.txt")}`)).rejects.toThrow(/\?format=/);
  });
});

describe("a file that changes", () => {
  it("is read to the end that it had, when it grows", async () => {
    const path = fileWith(lines(1000));
    const source = await openSource(`file:${path}`);
    let count = 0;
    for await (const { records } of source.readFromSource({}, { batchSize: 10, signal: calm() })) {
      if (count === 0) appendFileSync(path, lines(50, 1000));
      count += records.length;
    }
    expect(count).toBe(1000);
  });

  it.each([
    ["is shorter", (path: string) => truncateSync(path, 100)],
    ["is written over", (path: string) => writeFileSync(path, lines(60_000, 7))],
  ])("is told when it %s", async (_, change) => {
    const path = fileWith(lines(50_000));
    const source = await openSource(`file:${path}`);
    const reading = async () => {
      let isFirst = true;
      for await (const _ of source.readFromSource({}, { batchSize: 10, signal: calm() })) {
        if (isFirst) change(path);
        isFirst = false;
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: "STORE_CHANGED" });
  });

  it("is told when another has its name before it is its turn", async () => {
    const folder = temporaryFolder();
    fileWith(lines(10), "a.ndjson", folder);
    const path = fileWith(lines(10, 10), "b.ndjson", folder);
    const source = await openSource(`file:${folder}/*.ndjson`);
    const reading = async () => {
      for await (const _ of source.readFromSource({}, { batchSize: 5, signal: calm() })) {
        renameSync(fileWith(lines(3000), "new", folder), path);
      }
    };
    await expect(reading()).rejects.toThrow(/b\.ndjson was replaced while it was being read/);
  });

  it("is looked at anew by each read of a source that stays open", async () => {
    const path = fileWith(lines(10));
    const source = await openSource(`file:${path}`);
    expect(await idsOf(source)).toHaveLength(10);
    appendFileSync(path, lines(5, 10));
    expect(await idsOf(source)).toHaveLength(15);
    await source.identity(calm());
    expect(source.extent?.total({})).toBe(lines(15).length);
    // A longer one in its place would be read up to the middle of a record.
    rmSync(path);
    writeFileSync(path, lines(3000).replaceAll('"id"', '"_id"'));
    expect(await idsOf(source)).toHaveLength(3000);
    const parts = await source.partitions({}, 2, calm());
    appendFileSync(path, '{"_id":3000}\n');
    expect((await Promise.all(parts.map((part) => idsOf(source, part)))).flat()).toHaveLength(3001);
  });

  it("is looked for anew by each read: other files of a pattern, and of a dump", async () => {
    const folder = temporaryFolder();
    fileWith(lines(2), "a.ndjson", folder);
    const source = await openSource(`file:${folder}/*.ndjson`);
    expect(await idsOf(source)).toEqual([0, 1]);
    fileWith(lines(1, 2), "b.ndjson", folder);
    expect(await idsOf(source)).toEqual([0, 1, 2]);
    rmSync(join(folder, "a.ndjson"));
    expect(await idsOf(source)).toEqual([2]);
    await transfer(`file:${fileWith(lines(2))}`, `file:${folder}/dump.ndjson?partSize=1024`);
    const dump = await openSource(`file:${folder}/dump.ndjson`);
    expect(await dump.count({}, calm())).toBe(2);
    await transfer(`file:${fileWith(lines(3))}`, `file:${folder}/dump.ndjson?partSize=1024&ifExists=replace`);
    expect(await dump.count({}, calm())).toBe(3);
    expect(await idsOf(dump)).toEqual([0, 1, 2]);
  });

  it("has another identity when it is made anew", async () => {
    const path = fileWith(lines(10));
    const before = await (await openSource(`file:${path}`)).identity(calm());
    appendFileSync(path, lines(1, 10));
    expect(await (await openSource(`file:${path}`)).identity(calm())).toEqual(before);
    rmSync(path);
    writeFileSync(path, lines(10));
    expect((await (await openSource(`file:${path}`)).identity(calm())).incarnation).not.toBe(before.incarnation);
  });
});

describe.each([
  ["in.ndjson", (text: string) => Buffer.from(text)],
  ["in.ndjson.gz", (text: string) => Buffer.concat([gzipSync(text.slice(0, 5000)), gzipSync(text.slice(5000))])],
  ["in.json", (text: string) => Buffer.from(`[${text.trim().replaceAll("\n", ",")}]`)],
])("law 4, resume: %s", (name, make) => {
  it("every cursor gives exactly the rest", async () => {
    const url = `file:${fileWith(make(lines(500)), name)}`;
    const batches = await batchesOf(url, {}, { batchSize: 23 });
    let read = 0;
    for (const { records, cursor } of batches) {
      read += records.length;
      const rest = (await batchesOf(url, {}, { after: cursor })).flatMap((batch) => batch.records);
      expect(rest.map(({ id }) => id)).toEqual(Array.from({ length: 500 - read }, (_, i) => read + i));
    }
    expect(read).toBe(500);
  });
});

it("law 7, partition: one large file and many small ones are divided, each record once", async () => {
  const folder = temporaryFolder();
  fileWith(lines(3000), "a.ndjson", folder);
  for (let i = 0; i < 5; i++) fileWith(lines(50, 3000 + 50 * i), `b${i}.ndjson`, folder);
  const source = await openSource(`file:${folder}/*.ndjson`);
  for (const wanted of [2, 3, 7]) {
    const parts = await source.partitions({}, wanted, calm());
    expect(parts).toHaveLength(wanted);
    const ids: unknown[] = [];
    for (const part of parts) {
      for await (const { records } of source.readFromSource(part, { batchSize: 100, signal: calm() })) {
        ids.push(...records.map(({ id }) => id));
      }
    }
    expect(ids).toEqual(Array.from({ length: 3250 }, (_, i) => i));
  }
});
