import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-validate-"));
let output: string;

beforeAll(async () => {
  const main = join(import.meta.dirname, "..", "src", "main.ts");
  output = (await promisify(execFile)(process.execPath, [main], { cwd: folder })).stdout;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function letters(file: string): { readonly id: string; readonly code: string; readonly reason: string }[] {
  return readFileSync(join(folder, "data", file), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

it("rejects what is not valid, with the faults named", () => {
  expect(output).toContain("900 written, 100 rejected");
  expect(output).toContain('record "10": country: ');
  expect(letters("rejected.ndjson")).toHaveLength(100);
});

it("mends and replays what can be mended", () => {
  expect(output).toContain("90 written, 10 left for people to look at");
  const left = letters("for-people.ndjson");
  expect(left.map(({ id }) => Number(id))).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
  expect(left[0]).toMatchObject({ code: "TRANSFORM_FAILED", reason: expect.stringContaining("email") });
});

it("leaves only valid customers in the target", () => {
  const database = new Database(join(folder, "data", "new.db"), { readonly: true });
  const rows = database.prepare("SELECT count(*) AS n, count(DISTINCT country) AS countries FROM customers").get();
  const mended = database.prepare("SELECT email FROM customers WHERE id = 20").get();
  database.close();
  expect(rows).toEqual({ n: 990, countries: 2 });
  expect(mended).toEqual({ email: "customer20@example.org" });
});
