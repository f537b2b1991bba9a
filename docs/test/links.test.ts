import { existsSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { README_PAGES } from "../.vitepress/repository-links.ts";
import { includedFiles, markdownFiles, prose, readMarkdown, repository } from "./markdown.ts";

const files = markdownFiles();

/** The link targets of a file: of Markdown links and, on the home page, of its front matter. */
function links(file: string): string[] {
  const inText = [...prose(file).matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)].map(([, href]) => href!);
  const [, head = ""] = /^---\n([\s\S]*?)\n---\n/.exec(readMarkdown(file)) ?? [];
  return [...inText, ...[...head.matchAll(/^\s+link:\s*(\S+)/gm)].map(([, href]) => href!)];
}

/** What VitePress makes of a heading: marks become hyphens. */
function siteSlug(heading: string): string {
  return heading.replace(/[\s~`!@#$%^&*()\-_+=[\]{}|\\;:"'“”‘’<>,.?/]+/g, "-").replace(/^-+|-+$/g, "");
}

/** What GitHub makes of it: marks go, spaces become hyphens. */
function githubSlug(heading: string): string {
  return heading.replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
}

/** The anchors of a file's headings: of a page on the site, of any other file on GitHub. */
function anchors(file: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading] of readMarkdown(file)
    .replace(/^```[\s\S]*?^```/gm, "")
    .matchAll(/^#{1,6}\s+(.+)$/gm)) {
    const text = heading!.replace(/\{#.*\}\s*$/, "").replace(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    const plain = text.replace(/[`*]/g, "").trim().toLowerCase();
    found.add(file.startsWith("docs") ? siteSlug(plain) : githubSlug(plain));
    const [, own] = /\{#([^}]+)\}\s*$/.exec(heading!) ?? [];
    if (own !== undefined) found.add(own);
  }
  return found;
}

/** The Markdown file behind a link, with `anchor`; `undefined` for what is not a file of the repository. */
function resolveLink(
  file: string,
  href: string,
): { readonly path: string; readonly anchor: string | undefined } | undefined {
  if (/^[a-z][a-z0-9+.-]*:/i.test(href)) return undefined;
  const [path = "", anchor] = decodeURI(href).split("#");
  if (path === "") return { path: file, anchor };
  // A page of the site may be named from its root, without its ending.
  const base = path.startsWith("/") ? join("docs", path.slice(1)) : join(dirname(file), path);
  const candidates = [base, `${base}.md`, join(base, "index.md"), join(base, "README.md")];
  const found = candidates.find((candidate) => isFile(join(repository, candidate)));
  return { path: found ?? base, anchor };
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

describe.each(files)("%s", (file) => {
  it("leads nowhere that is not there", () => {
    const dead = links(file).filter((href) => {
      const target = resolveLink(file, href);
      if (target === undefined || target.path.startsWith(join("docs", "api"))) return false;
      if (relative(".", target.path).startsWith("..") || !existsSync(join(repository, target.path))) return true;
      if (target.anchor === undefined || !target.path.endsWith(".md")) return false;
      return !anchors(target.path).has(target.anchor);
    });
    expect(dead).toEqual([]);
  });

  it("takes in what is there", () => {
    expect(includedFiles(file).filter((path) => !isFile(join(repository, path)))).toEqual([]);
  });
});

describe("the site", () => {
  it("has a page for each README that it shows, and takes in that README", () => {
    for (const [readme, page] of README_PAGES) {
      if (readme !== "packages/core/README.md") expect(includedFiles(join("docs", page))).toEqual([readme]);
    }
  });
});
