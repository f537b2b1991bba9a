/** The tokenizer of CSV: whatever the bytes and however they are cut, the rows are the same. */

import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodingOf } from "../src/formats/csv-encoding.ts";
import { type Dialect, type Row, RowScanner } from "../src/formats/csv-scan.ts";

const dialectOf = (encoding: string | undefined, bytes: Buffer, delimiter = ","): Dialect => ({
  encoding: encodingOf(encoding, bytes),
  delimiter,
  quote: '"',
  newline: "\n",
});

function scan(bytes: Buffer, dialect: Dialect, sizes: readonly number[] = [], maxBytes = 1 << 20): Row[] {
  const scanner = new RowScanner(dialect, { at: 0, line: 1 }, maxBytes);
  const rows: Row[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : sizes[i % sizes.length]!;
    rows.push(...scanner.scan(Buffer.from(bytes.subarray(at, at + size)), false));
    at += size;
  }
  rows.push(...scanner.scan(Buffer.alloc(0), true));
  return rows;
}

/** Text in which everything that means something is frequent. */
const csvText = fc.string({
  unit: fc.constantFrom("a", "7", ",", '"', "\n", "\r\n", "é", "😀", '""', '","', '"\n"'),
  maxLength: 60,
});
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });

describe("the tokenizer of CSV", () => {
  it("finds the same rows however the bytes are cut, right or wrong, in every encoding", () => {
    fc.assert(
      fc.property(
        csvText,
        sizes,
        fc.constantFrom("utf-8", "utf-16le", "utf-16be", "windows-1252"),
        (text, cuts, name) => {
          const utf16 = Buffer.from(text, "utf16le");
          const bytes =
            name === "utf-16le" ? utf16 : name === "utf-16be" ? Buffer.from(utf16).swap16() : Buffer.from(text, "utf8");
          const dialect = dialectOf(name, bytes);
          expect(scan(bytes, dialect, cuts)).toEqual(scan(bytes, dialect));
        },
      ),
      { numRuns: 600 },
    );
  });

  it("finds the same rows when bytes are of no character, and when rows are longer than they may be", () => {
    const byte = fc.constantFrom(0x61, 0x2c, 0x22, 0x0a, 0x0d, 0xc3, 0xa9, 0xff, 0x00, 0xd8);
    const bytes = fc.array(byte, { maxLength: 80 }).map((list) => Buffer.from(list));
    fc.assert(
      fc.property(
        bytes,
        sizes,
        fc.integer({ min: 4, max: 30 }),
        fc.constantFrom("utf-8", "utf-16le"),
        (file, cuts, most, name) => {
          const dialect = dialectOf(name, file);
          const whole = scan(file, dialect, [], most);
          expect(scan(file, dialect, cuts, most)).toEqual(whole);
          for (const row of whole) if (row.trouble === undefined) expect(row.end - row.at).toBeLessThanOrEqual(most);
        },
      ),
      { numRuns: 600 },
    );
  });

  it("gives every byte to one row, and each line to at most one", () => {
    fc.assert(
      fc.property(csvText, fc.integer({ min: 6, max: 100 }), (text, most) => {
        const bytes = Buffer.from(text);
        let at = 0;
        let line = 1;
        for (const row of scan(bytes, dialectOf("utf-8", bytes), [], most)) {
          expect([row.at, row.line]).toEqual([at, line]);
          at = row.end;
          line = row.nextLine;
        }
        expect(at).toBe(bytes.length);
      }),
      { numRuns: 400 },
    );
  });

  it("goes on from the end of any row as if it had read what is before", () => {
    fc.assert(
      fc.property(csvText, (text) => {
        const bytes = Buffer.from(text);
        const dialect = dialectOf("utf-8", bytes);
        const rows = scan(bytes, dialect);
        rows.forEach((row, i) => {
          const scanner = new RowScanner(dialect, { at: row.end, line: row.nextLine }, 1 << 20);
          expect(scanner.scan(bytes.subarray(row.end), true)).toEqual(rows.slice(i + 1));
        });
      }),
      { numRuns: 300 },
    );
  });

  it("reads what csv-stringify writes, as csv-parse reads it", () => {
    const cell = fc.string({ unit: fc.constantFrom("a", "ü", " ", ",", ";", '"', "\n", "\r", "1"), maxLength: 8 });
    const table = fc
      .integer({ min: 2, max: 4 })
      .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width })));
    fc.assert(
      fc.property(table, fc.constantFrom(",", ";"), fc.boolean(), sizes, (cells, delimiter, quoted, cuts) => {
        const text = stringify(cells, { delimiter, quoted, record_delimiter: "\n", quoted_match: /[\r]/ });
        const bytes = Buffer.from(text);
        const rows = scan(bytes, dialectOf("utf-8", bytes, delimiter), cuts);
        expect(rows.map((row) => row.trouble ?? row.cells)).toEqual(parse(text, { delimiter, record_delimiter: "\n" }));
        expect(rows.map((row) => row.cells)).toEqual(cells);
      }),
      { numRuns: 300 },
    );
  });

  it("tells what is wrong with one row, and reads the next line", () => {
    const troubles = (text: string) =>
      scan(Buffer.from(text), dialectOf("utf-8", Buffer.from(text))).map((row) => row.trouble ?? row.cells);
    expect(troubles('1,"a"b\n2,c\n')).toEqual([expect.stringContaining("written twice"), ["2", "c"]]);
    expect(troubles('1,"a\n2,c\n3,"d"\n4,e\n')).toEqual([
      expect.stringContaining("written twice"),
      ["2", "c"],
      ["3", "d"],
      ["4", "e"],
    ]);
    expect(troubles('1,a\n2,"c\n3,d')).toEqual([["1", "a"], expect.stringContaining("never closed"), ["3", "d"]]);
    // A quote within a cell that does not begin with one is just a character: 5" pipes.
    expect(troubles('1,5" pipe\n')).toEqual([["1", '5" pipe']]);
  });

  it("takes time in proportion to a row that comes in many pieces", () => {
    const cell = Buffer.alloc(8_000_000, "x\n");
    const bytes = Buffer.concat([Buffer.from('1,"'), cell, Buffer.from('"\n2,b\n')]);
    const rows = scan(bytes, dialectOf("utf-8", bytes), [1000], 1 << 24);
    expect(rows.map((row) => [row.cells[0], row.cells[1]!.length, row.line, row.nextLine])).toEqual([
      ["1", 8_000_000, 1, 4_000_002],
      ["2", 1, 4_000_002, 4_000_003],
    ]);
  }, 5000);
});
