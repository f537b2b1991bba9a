import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { OptionSpec } from "@omni/p2p-core";
import { expect, test } from "vitest";
import { ELASTICSEARCH_TYPE_MAPPING, elasticsearchStarter } from "../src/index.ts";

const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");

/** The rows of the README's table whose first column has this heading. */
function rowsOf(heading: string): string[][] {
  const lines = readme.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${heading} `));
  const end = lines.findIndex((line, i) => i > start && !line.startsWith("|"));
  const cells = (line: string): string[] => line.split("|").slice(1, -1);
  return lines.slice(start + 2, end).map((line) => cells(line).map((cell) => cell.trim()));
}

test("the README's table of options is that of the starter", () => {
  const options = Object.entries(elasticsearchStarter.options as Readonly<Record<string, OptionSpec>>);
  const typeOf = ({ type, values }: OptionSpec): string => values?.map((value) => `\`${value}\``).join(", ") ?? type;
  const defaultOf = (spec: OptionSpec): string => (spec.default === undefined ? "" : `\`${spec.default}\``);
  expect(rowsOf("option")).toEqual(
    options.map(([name, spec]) => [`\`${name}\``, typeOf(spec), defaultOf(spec), spec.description]),
  );
});

test("the README's table of types is that of the code, which documents.test.ts holds to its word", () => {
  expect(rowsOf("value")).toEqual(
    ELASTICSEARCH_TYPE_MAPPING.map(({ value, field, source, sidecar }) => [value, field, source, sidecar]),
  );
});
