import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { optionRows, tableRows } from "@omni/p2p-testkit";
import { expect, test } from "vitest";
import { postgresqlOptions } from "../src/endpoint.ts";
import { postgresqlCapabilities } from "../src/types.ts";
import { OWN_TYPES } from "../src/values/own-values.ts";

const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");

test("the README's table of options is that of the starter", () => {
  expect(tableRows(readme, "option")).toEqual(optionRows(postgresqlOptions));
});

test("the README's table of types has the declared type of every kind of value", () => {
  const rows = tableRows(readme, "value");
  expect(rows.map(([type]) => type)).toEqual(Object.keys(postgresqlCapabilities.valueTypes));
  for (const [type, column] of rows) {
    if (type === "null") continue;
    expect(column, type).toBe(`\`${OWN_TYPES[type as keyof typeof OWN_TYPES]}\``);
  }
});

test("the README's table of TLS has every sslmode", () => {
  expect(tableRows(readme, "mode").map(([mode]) => mode)).toEqual(
    postgresqlOptions.sslmode.values.map((mode) => `\`${mode}\``),
  );
});

test("both languages name the same native types", async () => {
  const chinese = await readFile(join(import.meta.dirname, "../../../docs/zh/starters/postgresql.md"), "utf8");
  const names = (markdown: string, heading: string) =>
    tableRows(markdown, heading).map(([types]) => types!.match(/`[^`]+`/g) ?? []);
  expect(names(chinese, "类型")).toEqual(names(readme, "type"));
});
