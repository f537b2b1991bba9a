import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { sqliteStarter } from "../src/index.ts";
import { OWN_TYPES, sqliteCapabilities } from "../src/types.ts";

const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");

/** The rows of the table after a heading, without its head. */
function tableAfter(heading: string): string[][] {
  const section = readme.split(`${heading}\n`)[1]!.split(/\n#+ /)[0]!;
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test("the README's table of options is what the starter takes", () => {
  const expected = Object.entries(sqliteStarter.options).map(([name, spec]) => [
    `\`${name}\``,
    spec.type,
    spec.default === undefined ? "" : `\`${spec.default}\``,
    `${spec.values === undefined ? "" : `${spec.values.map((value) => `\`${value}\``).join(", ")}: `}${spec.description}`,
  ]);
  expect(tableAfter("## Endpoint")).toEqual(expected);
});

test("the README's table of types has the declared type of every kind of value", () => {
  const rows = tableAfter("### Tables that this starter creates");
  expect(rows.map(([type]) => type)).toEqual(Object.keys(sqliteCapabilities.valueTypes));
  for (const [type, column] of rows) {
    if (type === "null") continue;
    expect(column, type).toBe(`\`${OWN_TYPES[type as keyof typeof OWN_TYPES]}\``);
  }
});
