/** The README's tables of CSV and Parquet, held to the code. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { VALUE_TYPES } from "@omni/p2p-core/starter";
import { tableRows } from "@omni/p2p-testkit";
import { expect, test } from "vitest";
import { csv } from "../src/formats/csv.ts";
import { COLUMN_TYPES } from "../src/formats/csv-cells.ts";
import { parquet } from "../src/formats/parquet.ts";
import { convert, inputOf, write } from "./formats.ts";

const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");

test("the table of types of columns has those that can be given", () => {
  expect(tableRows(readme, "type in `types`").map(([type]) => type)).toEqual(COLUMN_TYPES.map((type) => `\`${type}\``));
});

test("the tables of CSV and Parquet have every kind of value", () => {
  for (const [heading, format] of [
    ["value in CSV", csv],
    ["value in Parquet", parquet],
  ] as const) {
    const rows = tableRows(readme, heading);
    expect(rows.map(([type]) => type)).toEqual([...VALUE_TYPES]);
    for (const [type, written] of rows) {
      const support = format.valueTypes[type as keyof typeof format.valueTypes];
      // Bigints of Parquet are tagged only beyond what its types hold.
      if (type !== "bigint") expect(written!.includes("tag"), `${heading}: ${type}`).toBe(support === "tagged");
    }
  }
});

const samples = {
  boolean: [true],
  number: [7, 2 ** 40, 1.5],
  bigint: [5n, 2n ** 70n],
  string: ["x"],
  date: [new Date(0)],
  bytes: [Uint8Array.of(1)],
  array: [[1]],
  object: [{ a: 1 }],
} as const;

test("the table of Parquet names the types that columns have", async () => {
  const written = new Map(tableRows(readme, "value in Parquet").map(([type, column]) => [type, column]));
  for (const [kind, values] of Object.entries(samples)) {
    for (const value of values) {
      const { bytes } = await convert(parquet, [{ id: 1, value }]);
      const type = (await parquet.schema!(inputOf(bytes))).at(-1)!.type;
      expect(written.get(kind), kind).toContain(`\`${type}\``);
    }
  }
});

test("the table of CSV shows a date and bytes as they are written", async () => {
  const written = new Map(tableRows(readme, "value in CSV").map(([type, column]) => [type, column]));
  const at = new Date("2024-01-02T03:04:05.678Z");
  const { bytes } = await write(csv, [{ id: 1, at, raw: Uint8Array.of(1, 2) }]);
  const text = bytes.toString().replaceAll('""', '"');
  for (const kind of ["date", "bytes"]) expect(text).toContain(/`([^`]+)`$/.exec(written.get(kind)!)![1]!);
});
