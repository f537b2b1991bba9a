import { existsSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import type { MarkdownOptions } from "vitepress";

const docs = join(import.meta.dirname, "..");
const repository = join(docs, "..");

/** Where the sources can be read. */
const SOURCES = "https://github.com/omni-p2p/omni-p2p/blob/main";

/** The README files that are pages here, each with its page. */
export const README_PAGES: ReadonlyMap<string, string> = new Map([
  ["packages/starter-memory/README.md", "starters/memory.md"],
  ["packages/starter-sqlite/README.md", "starters/sqlite.md"],
  ["packages/starter-redis/README.md", "starters/redis.md"],
  ["packages/starter-mongodb/README.md", "starters/mongodb.md"],
  ["packages/starter-elasticsearch/README.md", "starters/elasticsearch.md"],
  ["packages/starter-postgresql/README.md", "starters/postgresql.md"],
  ["packages/starter-file/README.md", "starters/file.md"],
  ["packages/testkit/README.md", "testkit.md"],
  ["packages/cli/README.md", "cli.md"],
  ["packages/engine-bullmq/README.md", "engine.md"],
  ["packages/core/README.md", "getting-started.md"],
]);

/** What markdown-it hands to a rule, as far as it is needed here. */
interface PageEnv {
  readonly path?: string;
  readonly includes?: readonly string[];
}

/**
 * Makes links of README files work on the site too: a page that includes a README takes its links from there, a link to
 * a README that is a page leads to the page, and one to any other file of the repository to where it can be read.
 * A link to nothing stays as it is, and ends the build.
 */
export const repositoryLinks: NonNullable<MarkdownOptions["config"]> = (md) => {
  md.core.ruler.after("inline", "repository-links", (state) => {
    const env = state.env as PageEnv;
    if (env.path === undefined) return;
    for (const token of state.tokens) {
      for (const child of token.children ?? []) {
        const href = child.type === "link_open" ? child.attrGet("href") : null;
        if (href !== null) child.attrSet("href", rewritten(href, env.path, env.includes?.[0]));
      }
    }
  });
};

function rewritten(href: string, page: string, included: string | undefined): string {
  if (/^([a-z][a-z0-9+.-]*:|#|\/)/i.test(href)) return href;
  const [path = "", anchor] = href.split("#");
  const suffix = anchor === undefined ? "" : `#${anchor}`;
  const file = resolve(dirname(included ?? page), decodeURI(path));
  const name = relative(repository, file).replaceAll("\\", "/");
  const target = README_PAGES.get(name) ?? README_PAGES.get(`${name}/README.md`);
  if (target !== undefined) return toPage(join(docs, target), page) + suffix;
  const inside = !relative(docs, file).startsWith("..");
  if (inside) return included === undefined ? href : toPage(file, page) + suffix;
  return existsSync(file) ? `${SOURCES}/${name}${suffix}` : href;
}

function toPage(file: string, page: string): string {
  const path = relative(dirname(page), file).replaceAll("\\", "/");
  return path.startsWith(".") ? path : `./${path}`;
}
