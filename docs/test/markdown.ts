import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { README_PAGES } from "../.vitepress/repository-links.ts";

export const docs = join(import.meta.dirname, "..");
export const repository = join(docs, "..");

/** Folders whose Markdown is not ours, or is generated. */
const LEFT_OUT = new Set(["node_modules", "dist", "api", ".git", ".turbo", ".cache", ".changeset", "results", "data"]);

/** A fenced block of code. */
export interface CodeBlock {
  /** The file from the repository's root, and the line of the first line of code. */
  readonly file: string;
  readonly line: number;
  readonly language: string;
  /** What follows the language: `run`, `given=connection`, `output`. */
  readonly words: readonly string[];
  readonly code: string;
}

/** Every Markdown file that is written by hand, from the repository's root. */
export function markdownFiles(): string[] {
  const files: string[] = [];
  const walk = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && !LEFT_OUT.has(entry.name)) walk(path);
      else if (entry.isFile() && entry.name.endsWith(".md")) files.push(relative(repository, path));
    }
  };
  walk(repository);
  return files.sort();
}

/** The text of a Markdown file of the repository. */
export function readMarkdown(file: string): string {
  return readFileSync(join(repository, file), "utf8");
}

/** The fenced blocks of a file, in order. */
export function codeBlocks(file: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { indent: string; fence: string; info: string; line: number; lines: string[] } | undefined;
  for (const [index, text] of readMarkdown(file).split("\n").entries()) {
    const [, indent = "", fence = "", info = ""] = /^(\s*)(`{3,}|~{3,})(.*)$/.exec(text) ?? [];
    if (open === undefined) {
      if (fence !== "") open = { indent, fence, info: info.trim(), line: index + 2, lines: [] };
    } else if (fence.startsWith(open.fence) && info.trim() === "") {
      const [language = "", ...words] = open.info.split(/\s+/);
      blocks.push({ file, line: open.line, language, words, code: `${open.lines.join("\n")}\n` });
      open = undefined;
    } else {
      open.lines.push(text.startsWith(open.indent) ? text.slice(open.indent.length) : text);
    }
  }
  if (open) throw new Error(`${file}:${open.line}: a block of code has no end`);
  return blocks;
}

/** The text without its blocks of code and without code in lines. */
export function prose(file: string): string {
  return readMarkdown(file)
    .replace(/^(\s*)(`{3,}|~{3,}).*\n[\s\S]*?^\s*\2.*$/gm, "")
    .replace(/(`+)[^`\n](?:[^\n]*?[^`\n])?\1(?!`)/g, "");
}

/** The tables of a page, each as its rows of cells: the head, and what is below its rule. */
export function tables(file: string): string[][][] {
  const blocks = readMarkdown(file).match(/(?:^\|.*\n)+/gm) ?? [];
  return blocks.map((block) => {
    const rows = block.trim().split("\n");
    const cells = rows.map((row) =>
      row
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    );
    return cells.toSpliced(1, 1);
  });
}

const CHINESE = join("docs", "zh");

/** Whether it is a page of the site in Chinese. */
export function isChinese(file: string): boolean {
  return file.startsWith(CHINESE);
}

/** The English page of a Chinese one. */
export function englishPage(file: string): string {
  return join("docs", relative(CHINESE, file));
}

/** The file with the English text: of a Chinese page the English one, or the README that it takes in. */
export function original(file: string): string {
  if (!isChinese(file)) return file;
  const page = englishPage(file);
  return includedFiles(page).find((included) => README_PAGES.has(included)) ?? page;
}

/** Files that VitePress takes into a page by `<<<` or `@include`, from the repository's root. */
export function includedFiles(file: string): string[] {
  const text = readMarkdown(file);
  const includes = [...text.matchAll(/<!--\s*@include:\s*(.*?)\s*-->/g), ...text.matchAll(/^<<<\s*(\S+)/gm)];
  return includes.map(([, path]) =>
    relative(repository, resolve(join(repository, dirname(file)), path!.replace(/[#{].*$/, ""))),
  );
}
