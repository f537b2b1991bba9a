import { existsSync, globSync, statSync } from "node:fs";
import { basename, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { prose, readMarkdown, repository, tables } from "./markdown.ts";
import { titles } from "./titles.ts";

const ENGLISH = "ARCHITECTURE.md";
const CHINESE = "ARCHITECTURE.zh-CN.md";
const PAGES = [ENGLISH, CHINESE, "CONTRIBUTING.md", "CONTRIBUTING.zh-CN.md", "SECURITY.md", "SECURITY.zh-CN.md"];

/** Where tests and checks are: of the packages, of the tools, and of the documents. */
const TEST_FILES = [
  "packages/*/test/**/*.ts",
  "packages/testkit/src/checks/*.ts",
  "tools/*/test/**/*.ts",
  "bench/test/**/*.ts",
  "docs/test/**/*.ts",
  "examples/**/*.test.ts",
];

interface Law {
  readonly number: string;
  readonly name: string;
  readonly says: string;
  readonly tests: readonly { readonly title: string; readonly file: string }[];
}

/** The rows of the table of laws. */
function laws(page: string, head: string): Law[] {
  const rows = tables(page).flatMap(([first, ...rest]) => (first![0] === head ? rest : []));
  return rows.map(([number = "", name = "", says = "", tests = ""]) => ({
    number,
    name,
    says,
    tests: [...tests.matchAll(/\[([^\]]+)\]\(([^)]+)\)/g)].map(([, title, file]) => ({ title: title!, file: file! })),
  }));
}

/** The law that a title is of, with what it calls it: that of the innermost group or test that names one. */
function lawOf(title: string): { readonly number: string; readonly name: string } | undefined {
  const [, number, name] = /^.*(?:^|> )law (\d+)\b(?:, ([^:>]*\w))?/.exec(title) ?? [];
  return number === undefined ? undefined : { number, name: name ?? "" };
}

/** Every file that is written by hand, from the repository's root. */
const FILES = globSync("{*,.github/**,.changeset/*,packages/**,tools/**,docs/**,examples/**,bench/**}", {
  cwd: repository,
  exclude: (name) => ["node_modules", "dist", ".turbo", ".cache", "api"].includes(basename(name)),
}).map((file) => file.replaceAll("\\", "/"));

/** What a page says in code marks of files and folders: with a slash in it, or the ending of a file. */
function namedPaths(page: string): string[] {
  const text = readMarkdown(page).replace(/^```[\s\S]*?^```/gm, "");
  const codes = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);
  return codes.filter((code) =>
    /^[\w.-]+(?:\/[\w.-]+)*(?:\/|\.(?:ts|mjs|lua|json|md|yml))$|^[\w.-]+(?:\/[\w.-]+)+$/.test(code),
  );
}

/** Whether there is such a path: the whole of one from the root, or the end of one, as `src/endpoint.ts` is in every starter. */
function isThere(path: string): boolean {
  const plain = path.replace(/\/$/, "");
  return FILES.some((file) => file === plain || file.endsWith(`/${plain}`));
}

/** What a page links to in this repository, in order, with the Chinese twin of a page taken for the page. */
function localLinks(page: string): string[] {
  const hrefs = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, href]) => href!);
  return hrefs.filter((href) => !/^[a-z]+:/.test(href)).map((href) => href.replace(/#.*$/, ""));
}

function untranslated(href: string): string {
  return normalize(href.replace(/\.zh-CN\.md$/, ".md").replace(/^docs\/zh\//, "docs/"));
}

const english = laws(ENGLISH, "law");
const chinese = laws(CHINESE, "定律");

describe.each(PAGES)("%s", (page) => {
  it("names files and folders that are there", () => {
    expect(namedPaths(page).filter((path) => !isThere(path))).toEqual([]);
    expect(localLinks(page).filter((path) => !existsSync(join(repository, path)))).toEqual([]);
  });

  it("calls a linked file by its name", () => {
    const shown = [...readMarkdown(page).matchAll(/\[([\w./-]+\.(?:ts|lua))\]\(([^)]+)\)/g)];
    expect(shown.filter(([, text, href]) => !`/${href}`.endsWith(`/${text}`)).map(([link]) => link)).toEqual([]);
  });
});

describe.each(["ARCHITECTURE", "CONTRIBUTING", "SECURITY"])("%s in both languages", (name) => {
  it("has the same links, as many times, section by section", () => {
    const sections = (page: string) =>
      readMarkdown(page)
        .split(/^#+ /m)
        .map((section) => [...section.matchAll(/\]\(([^)\s]+)\)/g)].map(([, href]) => href!))
        .map((hrefs) => hrefs.map((href) => untranslated(href.replace(/#.*$/, ""))).sort());
    const [, first, ...rest] = sections(`${name}.md`);
    const [, firstOfTwin, ...restOfTwin] = sections(`${name}.zh-CN.md`);
    expect(restOfTwin).toEqual(rest);
    expect(firstOfTwin).toEqual(first);
  });

  it("has the same things in code marks in the tables, row by row", () => {
    const columns = (page: string) =>
      tables(page).map((rows) => rows.map(([cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, text]) => text!)));
    expect(columns(`${name}.zh-CN.md`)).toEqual(columns(`${name}.md`));
  });

  it("leads from one to the other below the title", () => {
    expect(readMarkdown(`${name}.md`)).toMatch(new RegExp(`^# .*\n\n\\[简体中文\\]\\(${name}\\.zh-CN\\.md\\)\n`));
    expect(readMarkdown(`${name}.zh-CN.md`)).toMatch(new RegExp(`^# .*\n\n\\[English\\]\\(${name}\\.md\\)\n`));
  });
});

describe("the table of everyday changes", () => {
  it("names a file for each, and no folder", () => {
    const rows = tables(ENGLISH).flatMap(([first, ...rest]) => (first![0] === "to change" ? rest : []));
    expect(rows.length).toBeGreaterThanOrEqual(25);
    const fileOf = (cell: string) => /\]\(([^)#]+)\)/.exec(cell)?.[1] ?? "";
    expect(rows.filter(([, open]) => !statSync(join(repository, fileOf(open!))).isFile())).toEqual([]);
  });
});

describe("the table of laws", () => {
  const inTree = TEST_FILES.flatMap((pattern) => globSync(pattern, { cwd: repository }))
    .filter((file) => !file.includes("node_modules") && basename(file) !== "architecture.test.ts")
    .flatMap((file) => titles(file).map((title) => ({ file, title, law: lawOf(title) })))
    .flatMap(({ law, ...test }) => (law === undefined ? [] : [{ ...test, law }]));

  it("has laws 1 to 11, in the same words of a name in both languages", () => {
    expect(english.map(({ number }) => number)).toEqual(Array.from({ length: 11 }, (_, n) => String(n + 1)));
    expect(chinese.map(({ number, name }) => [number, name])).toEqual(
      english.map(({ number, name }) => [number, name]),
    );
  });

  it("links each law that holds today to tests of its own", () => {
    for (const { number, name, tests } of english.slice(0, 8)) {
      expect(tests.length, `law ${number}`).toBeGreaterThan(0);
      for (const { title } of tests) expect(lawOf(title), title).toEqual({ number, name });
    }
  });

  it("names one test or group of its file, by its whole path", () => {
    const wrong = english
      .flatMap(({ tests }) => tests)
      .filter(({ title, file }) => titles(file).filter((other) => other === title).length !== 1);
    expect(wrong).toEqual([]);
  });

  it("has the same tests in both languages", () => {
    expect(chinese.map(({ tests }) => tests)).toEqual(english.map(({ tests }) => tests));
  });

  it("has the law, and its name, of every test in the tree that is of one", () => {
    expect(inTree.length).toBeGreaterThan(40);
    const known = new Map(english.map(({ number, name }) => [number, name]));
    const strange = inTree.filter(({ law }) => known.get(law.number) !== law.name);
    expect(strange).toEqual([]);
  });

  it("says of no law that it has no tests yet once there is one", () => {
    const tried = new Set(inTree.map(({ law }) => law.number));
    expect(english.filter(({ number, tests }) => tests.length > 0 !== tried.has(number))).toEqual([]);
  });
});

describe("the law of a title", () => {
  it("is read off its beginning and that of its group, and off nothing else", () => {
    expect(lawOf("law 2, round trip: any text as a field name")).toEqual({ number: "2", name: "round trip" });
    expect(lawOf("resuming > law 4, resume: a limit")).toEqual({ number: "4", name: "resume" });
    expect(lawOf("law 1, conservation > records read")).toEqual({ number: "1", name: "conservation" });
    expect(lawOf("law 12")).toEqual({ number: "12", name: "" });
    expect(lawOf("holds by law 3, idempotence")).toBeUndefined();
  });
});
