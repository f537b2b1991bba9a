import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { optionRows, tableRows } from "@omni/p2p-testkit";
import { expect, test } from "vitest";
import { fileStarter } from "../src/index.ts";
import { jsonValueTypes } from "../src/types.ts";

const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");

test("the README's table of options is that of the starter", () => {
  expect(tableRows(readme, "option")).toEqual(optionRows(fileStarter.options));
});

test("the README's table of types has a tag where the format has one", () => {
  const rows = tableRows(readme, "value");
  expect(rows.map(([type]) => type)).toEqual(Object.keys(jsonValueTypes));
  for (const [type, written] of rows) {
    expect(written!.includes('"$p2p"'), type).toBe(jsonValueTypes[type as keyof typeof jsonValueTypes] === "tagged");
  }
});
