import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { OptionSpec } from "@omni/p2p-core";
import { SAMPLE_VALUES, VALUE_TYPES } from "@omni/p2p-testkit";
import * as mongodb from "mongodb";
import { expect, test } from "vitest";
import { MONGODB } from "../src/dialect.ts";
import { RecordEncoder } from "../src/encode.ts";
import { mongodbStarter } from "../src/index.ts";
import { describeSample } from "../src/mapping.ts";
import { BSON_TAGS, VALUE_MAPPING } from "../src/types.ts";

const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");

/** The rows of the README's table whose first column has this heading. */
function rowsOf(heading: string): string[][] {
  const lines = readme.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${heading} `));
  const end = lines.findIndex((line, i) => i > start && !line.startsWith("|"));
  return lines.slice(start + 2, end).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test("the README's table of options is that of the starter", () => {
  const options = Object.entries(mongodbStarter.options as Readonly<Record<string, OptionSpec>>);
  const type = ({ type, values }: OptionSpec) => values?.map((value) => `\`${value}\``).join(", ") ?? type;
  expect(rowsOf("option")).toEqual(
    options.map(([name, spec]) => [
      `\`${name}\``,
      type(spec),
      spec.default === undefined ? "" : `\`${spec.default}\``,
      spec.description,
    ]),
  );
});

test("the README's tables of types are those of the code", () => {
  expect(rowsOf("value")).toEqual(
    VALUE_TYPES.map((type) => [type, VALUE_MAPPING[type].stored, VALUE_MAPPING[type].returned]),
  );
  expect(rowsOf("tag")).toEqual(Object.entries(BSON_TAGS).map(([name, payload]) => [`\`mongodb:${name}\``, payload]));
});

test("each sample of each type is stored as the table says", () => {
  const encoder = new RecordEncoder(MONGODB, mongodb);
  for (const type of VALUE_TYPES) {
    for (const value of SAMPLE_VALUES[type]) {
      const [mapping] = describeSample([{ id: 1, value }], MONGODB, encoder).filter(({ field }) => field === "value");
      const stored = mapping!.storedAs.split(/[ ,]/)[0]!;
      if (type === "tagged" && stored !== "text") continue;
      expect(VALUE_MAPPING[type].stored.split(/\W+/), `${type} stored as ${mapping!.storedAs}`).toContain(stored);
    }
  }
});
