import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { optionRows, tableRows } from "@omni/p2p-testkit";
import { expect, test } from "vitest";
import { memoryStarter } from "../src/index.ts";
import { memoryCapabilities } from "../src/types.ts";

const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");

test("the README's table of types has every kind of value, each as the capabilities say", () => {
  const table = readme.split("## Types")[1]!.split("\n## ")[0]!;
  const rows = table.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  for (const [type, support] of Object.entries(memoryCapabilities.valueTypes)) {
    expect(support).toBe("native");
    expect(
      rows.find((row) => row[1] === type),
      type,
    ).toBeDefined();
  }
});

test("the README's table of options is that of the starter", () => {
  expect(tableRows(readme, "option")).toEqual(optionRows(memoryStarter.options));
});
