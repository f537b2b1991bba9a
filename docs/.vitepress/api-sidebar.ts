import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { DefaultTheme } from "vitepress";

const api = join(import.meta.dirname, "..", "api", "@omni");

/** The API reference's pages by package and kind, as far as they have been generated. */
export function apiSidebar(): DefaultTheme.SidebarItem[] {
  if (!existsSync(api)) return [];
  return readdirSync(api)
    .sort()
    .map((name) => ({
      text: `@omni/${name}`,
      link: `/api/@omni/${name}/`,
      collapsed: true,
      items: readdirSync(join(api, name), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((kind) => ({ text: title(kind.name), collapsed: true, items: pages(name, kind.name) })),
    }));
}

function pages(name: string, kind: string): DefaultTheme.SidebarItem[] {
  return readdirSync(join(api, name, kind))
    .filter((file) => file.endsWith(".md"))
    .map((file) => file.slice(0, -3))
    .sort()
    .map((symbol) => ({ text: symbol, link: `/api/@omni/${name}/${kind}/${symbol}` }));
}

/** `type-aliases` as `Type aliases`. */
function title(folder: string): string {
  const text = folder.replaceAll("-", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
