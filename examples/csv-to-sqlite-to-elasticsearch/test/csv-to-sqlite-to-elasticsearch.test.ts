import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-csv-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describeWithService("elasticsearch", "a CSV made searchable", ({ url }) => {
  const index = `products-${process.pid}`;
  afterAll(async () => {
    await fetch(`${url}/${index}`, { method: "DELETE" });
  });

  it("takes the rows over with their types, and tells of the wrong one", async () => {
    const main = join(import.meta.dirname, "..", "src", "main.ts");
    const env = { ...process.env, ELASTICSEARCH_URL: url, INDEX: index };
    const { stdout } = await promisify(execFile)(process.execPath, [main, "linen"], { cwd: folder, env });
    const [written, wrong, same, ...found] = stdout.trim().split("\n");
    expect(written).toBe("4 products in SQLite");
    expect(wrong).toMatch(/^ {2}not taken: .*Line 5 has 5 cells where there are 6 columns/);
    expect(same).toBe("Elasticsearch holds the same: true");
    expect(found.map((name) => name.trim()).toSorted()).toEqual(["Chair", 'Lamp "Oslo"']);
    const database = new DatabaseSync(join(folder, "data", "shop.db"));
    const rows = database.prepare("SELECT price, article, released, text FROM products ORDER BY id").all();
    database.close();
    expect(rows.slice(0, 2).map((row) => ({ ...row }))).toEqual([
      { price: 49.5, article: "00712", released: "2024-02-29T00:00:00.000Z", text: "A floor lamp of oak and linen." },
      { price: 320, article: "10115", released: "2024-03-01T00:00:00.000Z", text: "Seats four.\nOiled oak." },
    ]);
  });
});
