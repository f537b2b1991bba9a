import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-search-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describeWithService("elasticsearch", "searching a SQLite table", ({ url }) => {
  const index = `articles-${process.pid}`;
  afterAll(async () => {
    await fetch(`${url}/${index}`, { method: "DELETE" });
  });

  async function run(...words: string[]): Promise<string[]> {
    const main = join(import.meta.dirname, "..", "src", "main.ts");
    const env = { ...process.env, ELASTICSEARCH_URL: url, INDEX: index };
    const { stdout } = await promisify(execFile)(process.execPath, [main, ...words], { cwd: folder, env });
    return stdout.trim().split("\n");
  }

  it("finds articles by their words, and no drafts", async () => {
    const [moved, , first] = await run("after", "a", "crash");
    expect(moved).toBe("7 articles can be searched");
    expect(first).toMatch(/^ {2}Checkpoints \(\d+\.\d\d\)$/);
    const found = await run("retry");
    expect(found.slice(2).map((line) => line.trim().replace(/ \(.*/, ""))).toEqual(
      expect.arrayContaining(["Idempotent writes", "Checkpoints"]),
    );
    expect(found.join()).not.toContain("Jitter");
  });
});
