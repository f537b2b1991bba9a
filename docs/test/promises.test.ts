import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { repository, tables } from "./markdown.ts";
import { titles } from "./titles.ts";

const ENGLISH = "docs/guide/promises.md";
const CHINESE = "docs/zh/guide/promises.md";

interface Row {
  readonly promise: string;
  readonly file: string;
  readonly shown: string;
  readonly name: string;
}

/** The link in a cell: its text, and the file behind it from the repository's root. */
function link(page: string, cell: string): { readonly text: string; readonly file: string } {
  const [, text, href] = /^\[(.+)\]\((.+)\)$/.exec(cell) ?? [];
  if (text === undefined || href === undefined) throw new Error(`${page}: no link: ${cell}`);
  return { text, file: normalize(join(dirname(page), href)) };
}

function promises(page: string, head: string): Row[] {
  const rows = tables(page).flatMap(([first, ...rest]) => (first![0] === head ? rest : []));
  return rows.map(([promise = "", test = "", name = ""]) => {
    const { text, file } = link(page, test);
    return { promise, file, shown: text, name: name.replaceAll("&lt;", "<").replaceAll("\\|", "|") };
  });
}

function chaosParts(page: string, head: string): string[][] {
  const rows = tables(page).flatMap(([first, ...rest]) => (first![0] === head ? rest : []));
  return rows.map(([part = ""]) => {
    const { text, file } = link(page, part);
    return [text.replaceAll("`", ""), file];
  });
}

const english = promises(ENGLISH, "promise");
const chinese = promises(CHINESE, "保证");

describe("the page of promises", () => {
  it("has rows, each with a sentence of its own", () => {
    expect(english.length).toBeGreaterThan(100);
    for (const rows of [english, chinese]) {
      expect(rows.filter(({ promise }) => !/[.。]$/.test(promise))).toEqual([]);
      expect(new Set(rows.map(({ promise }) => promise)).size).toBe(rows.length);
    }
  });

  it("names files that are there, as they are called below packages", () => {
    const wrong = english.filter(
      ({ file, shown }) => shown !== file.replace(/^packages\//, "") || !existsSync(join(repository, file)),
    );
    expect(wrong).toEqual([]);
  });

  it("names one test or group of its file in each row, by its whole path", () => {
    const wrong = english.filter(
      ({ file, name }) =>
        existsSync(join(repository, file)) && titles(file).filter((title) => title === name).length !== 1,
    );
    expect(wrong).toEqual([]);
  });

  it("has the same tests in both languages, in the same order", () => {
    const tests = (rows: readonly Row[]) => rows.map(({ file, shown, name }) => [file, shown, name]);
    expect(tests(chinese)).toEqual(tests(english));
  });

  it("names every part of the chaos trials, with its file, and no other", () => {
    const main = readFileSync(join(repository, "tools/chaos/src/main.ts"), "utf8");
    const parts = [...main.matchAll(/^await part\("(\w+)"|only === "(\w+)"/gm)].map(([, one, other]) => one ?? other!);
    const listed = chaosParts(ENGLISH, "part");
    expect(parts.length).toBeGreaterThan(0);
    expect(listed.map(([part]) => part)).toEqual(parts);
    expect(listed.filter(([, file]) => !existsSync(join(repository, file!)))).toEqual([]);
    expect(chaosParts(CHINESE, "部分")).toEqual(listed);
  });
});

describe("titles", () => {
  it("are those of tests and groups, and no text beside them", () => {
    const mentioned = "a title that no test has";
    const own = titles("docs/test/promises.test.ts");
    expect(own).toContain("titles > are those of tests and groups, and no text beside them");
    expect(own).not.toContain(mentioned);
    expect(own.some((title) => title.endsWith(`> ${mentioned}`))).toBe(false);
  });
});
