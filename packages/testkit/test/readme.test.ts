import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as testkit from "../src/index.ts";

// The formatter pads the cells of tables.
const readme = (await readFile(join(import.meta.dirname, "../README.md"), "utf8")).replace(/ +/g, " ");

test("the README lists every feature that a store may lack, in the code's own words", () => {
  for (const [feature, meaning] of Object.entries(testkit.FEATURES)) {
    expect(readme).toContain(`| \`${feature}\` | ${meaning} |`);
  }
});

test("the README names everything that can be imported to work with", () => {
  const described = Object.keys(testkit).filter((name) => !["FEATURES", "VALUE_TYPES", "describeValue"].includes(name));
  for (const name of described) expect(readme, name).toContain(name);
});
