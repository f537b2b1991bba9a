import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const readme = read("../README.md");

/** The names in the first column of the first table after a heading. */
function tableAfter(heading: string): string[] {
  const [, rest = ""] = readme.split(`## ${heading}\n`);
  const [table = ""] = /^\|(?:.|\n)*?\n\n/m.exec(rest) ?? [];
  return [...table.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name!);
}

/** The properties of an interface in a source file. */
function propertiesOf(file: string, name: string): string[] {
  const [, body = ""] = new RegExp(`interface ${name} \\{\\n((?:.|\\n)*?)\\n\\}`).exec(read(file)) ?? [];
  return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, property]) => property!);
}

describe("the README's tables", () => {
  it("name every option of a transfer and of a worker, and no other", () => {
    expect(tableAfter("A transfer")).toEqual(propertiesOf("../src/submitting/submission.ts", "TransferSubmission"));
    expect(tableAfter("A worker")).toEqual(propertiesOf("../src/worker-options.ts", "TransferWorkerOptions"));
  });
});
