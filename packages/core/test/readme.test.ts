import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { settingNames } from "../src/config.ts";
import { parseConfig } from "../src/engine.ts";

const readme = readFileSync(join(import.meta.dirname, "..", "README.md"), "utf8");
const table = readme.slice(readme.indexOf("## Settings"), readme.indexOf("Only of a transfer")).replace(/ {2,}/g, " ");

describe("the README's table of settings", () => {
  it("names every setting, and no other", () => {
    const named = [...table.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell]) => [...cell!.matchAll(/`(\w+)`/g)]);
    const wanted = settingNames().filter((name) => !name.includes("_"));
    expect(named.map(([, name]) => name).sort()).toEqual([...wanted].sort());
  });

  it("tells the defaults", () => {
    const defaults = parseConfig();
    for (const name of ["batchSize", "concurrency", "readAhead", "maxRetries"] as const) {
      expect(table).toMatch(new RegExp(`\\| \`${name}\` \\| ${defaults[name]} \\|`));
    }
    expect(table).toContain(`| \`connectionTimeout\` | ${defaults.connectionTimeout} ms |`);
    expect(table).toContain(`| \`mode\` | \`${defaults.mode}\` |`);
  });
});
