import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { optionRows, SAMPLE_VALUES, tableRows, VALUE_TYPES } from "@omni/p2p-testkit";
import * as mongodb from "mongodb";
import { expect, test } from "vitest";
import { BSON_TAGS } from "../src/client/bson-tags.ts";
import { MONGODB } from "../src/client/dialect.ts";
import { mongodbStarter } from "../src/index.ts";
import { describeSample } from "../src/inspecting/describe-mapping.ts";
import { VALUE_MAPPING } from "../src/types.ts";
import { RecordEncoder } from "../src/values/encode.ts";

const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");

test("the README's table of options is that of the starter", () => {
  expect(tableRows(readme, "option")).toEqual(optionRows(mongodbStarter.options));
});

test("the README's tables of types are those of the code", () => {
  expect(tableRows(readme, "value")).toEqual(
    VALUE_TYPES.map((type) => [type, VALUE_MAPPING[type].stored, VALUE_MAPPING[type].returned]),
  );
  expect(tableRows(readme, "tag")).toEqual(
    Object.entries(BSON_TAGS).map(([name, payload]) => [`\`mongodb:${name}\``, payload]),
  );
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
