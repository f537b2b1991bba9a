import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { optionRows, tableRows } from "@omni/p2p-testkit";
import { expect, test } from "vitest";
import { ELASTICSEARCH_TYPE_MAPPING, elasticsearchStarter } from "../src/index.ts";

const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");

test("the README's table of options is that of the starter", () => {
  expect(tableRows(readme, "option")).toEqual(optionRows(elasticsearchStarter.options));
});

test("the README's table of types is that of the code, which documents.test.ts holds to its word", () => {
  expect(tableRows(readme, "value")).toEqual(
    ELASTICSEARCH_TYPE_MAPPING.map(({ value, field, source, sidecar }) => [value, field, source, sidecar]),
  );
});
