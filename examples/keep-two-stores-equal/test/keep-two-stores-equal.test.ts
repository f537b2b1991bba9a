import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-equal-"));
let output: string;

beforeAll(async () => {
  const main = join(import.meta.dirname, "..", "src", "main.ts");
  output = (await promisify(execFile)(process.execPath, [main], { cwd: folder })).stdout;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("tells beforehand what will be done, and does it", () => {
  expect(output).toMatch(
    /20 are missing, 5 different, and 30 to be taken out; such as\n( {3}(missing|different|extra) -?\d+\n){3}/,
  );
  expect(output).toContain("25 written, 30 deleted");
});

it("brings what changed, and nothing twice", () => {
  expect(output).toContain("5 written, 1 deleted\n   and again: 0 written, 0 deleted\n");
  expect(output).toContain("both hold the same 501 products");
});

it("leaves the target as it is when the source was emptied", () => {
  expect(output).toMatch(/refused: The query gives no record of .* nothing was changed/);
  const database = new Database(join(folder, "data", "shown.db"), { readonly: true });
  const row = database.prepare("SELECT count(*) AS n, max(id) AS last, min(id) AS first FROM products").get();
  database.close();
  expect(row).toEqual({ n: 501, last: 502, first: 1 });
});
