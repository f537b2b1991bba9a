import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { README_PAGES } from "../.vitepress/repository-links.ts";
import {
  type CodeBlock,
  codeBlocks,
  englishPage,
  includedFiles,
  isChinese,
  markdownFiles,
  original,
  readMarkdown,
  tables,
} from "./markdown.ts";

const translations = markdownFiles().filter(isChinese);
const pages = translations.map((file) => [file, original(file)] as const);

/** Where the link below the title leads. */
function linkBelowTitle(file: string): string | undefined {
  const [, href] = /^# .*\n\n\[(?:English|简体中文)\]\(([^)]*)\)\n/.exec(readMarkdown(file)) ?? [];
  return href === undefined ? undefined : join(dirname(file), href);
}

describe("the site", () => {
  it("has every page in both languages", () => {
    const english = markdownFiles().filter((file) => /^docs\/(?!zh\/|test\/|README\.md)/.test(file));
    expect(translations.map(englishPage).toSorted()).toEqual(english.toSorted());
  });
});

/** The levels of the headings, in order. */
function headings(file: string): number[] {
  const text = readMarkdown(file).replace(/^(`{3,}|~{3,}).*\n[\s\S]*?^\1.*$/gm, "");
  return [...text.matchAll(/^(#{1,6})\s/gm)].map(([, marks]) => marks!.length);
}

/** Code without its comments: what begins at `//` or `#` after a space or at the start of a line. */
function uncommented(code: string): string {
  return code.replace(/(^|\s)(\/\/|#\s).*$/gm, "").trimEnd();
}

/** A drawing or a formula in a block of text has words of its own language, so its lines are only counted. */
function isDrawing({ language, words }: CodeBlock): boolean {
  return (language === "" || language === "text") && !words.includes("output");
}

function code(file: string, drawings: readonly number[]): string[] {
  return codeBlocks(file).map((block, index) => {
    const info = [block.language, ...block.words].join(" ");
    const text = drawings.includes(index) ? `${block.code.split("\n").length} lines` : uncommented(block.code);
    return `${info}\n${text}`;
  });
}

/** What is in code marks in the first cell of each row, table by table. */
function firstColumns(file: string): string[][][] {
  return tables(file).map((rows) => rows.map(([cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, text]) => text!)));
}

describe.each(pages)("%s", (file, english) => {
  it("has the headings of the English page", () => {
    expect(headings(file)).toEqual(headings(english));
  });

  it("has its code", () => {
    const translated = codeBlocks(file).flatMap((block, index) =>
      isDrawing(block) && /\p{Script=Han}/u.test(block.code) ? [index] : [],
    );
    expect(code(file, translated)).toEqual(code(english, translated));
  });

  it("leads to the English page, which leads back", () => {
    // The home pages have no title; the menu of languages leads from one to the other.
    if (file === join("docs", "zh", "index.md")) return;
    expect(linkBelowTitle(file)).toBe(englishPage(file));
    expect(linkBelowTitle(english)).toBe(file);
  });

  it("takes in the same files", () => {
    const taken = (from: string) => includedFiles(from).filter((included) => !README_PAGES.has(included));
    expect(taken(file)).toEqual(taken(english));
  });

  it("has the rows of its tables", () => {
    expect(firstColumns(file)).toEqual(firstColumns(english));
  });
});
