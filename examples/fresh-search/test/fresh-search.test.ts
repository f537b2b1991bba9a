import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Client } from "pg";
import { afterAll, expect, it } from "vitest";

describeWithService("elasticsearch", "a fresh search", ({ url: server }) => {
  describeWithService("postgresql", "of a PostgreSQL table", ({ url: database }) => {
    const schema = `fresh_${process.pid}`;
    const index = `fresh-${process.pid}`;
    const folder = mkdtempSync(join(tmpdir(), "omni-p2p-fresh-"));
    afterAll(async () => {
      await fetch(`${server}/${index}`, { method: "DELETE" });
      await query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
      rmSync(folder, { recursive: true, force: true });
    });

    async function query(text: string): Promise<unknown[]> {
      const client = new Client({ connectionString: database });
      await client.connect();
      try {
        return (await client.query(text)).rows;
      } finally {
        await client.end();
      }
    }

    async function run(file: string): Promise<string> {
      const main = join(import.meta.dirname, "..", "src", file);
      const env = { ...process.env, POSTGRESQL_URL: database, ELASTICSEARCH_URL: server, SCHEMA: schema, INDEX: index };
      return (await promisify(execFile)(process.execPath, [main], { env, cwd: folder })).stdout;
    }

    it("finds what is written, and no longer what is gone or not sold", async () => {
      const output = await run("main.ts");
      expect(output).toContain("In the morning: Fleece jacket (59.50), Rain jacket (89.90), Down jacket (249.00)\n");
      expect(output).toContain("In the evening: Quilted jacket (79.00), Down jacket (99.00)\n");
    });

    it("leaves nothing in the server once it is forgotten", async () => {
      const slots = "SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE '%product_search%'";
      expect(await query(slots)).toHaveLength(1);
      await run("forget.ts");
      expect(await query(slots)).toEqual([]);
    });
  });
});
