import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Client } from "pg";
import { afterAll, expect, it } from "vitest";

describeWithService("elasticsearch", "searching", ({ url: server }) => {
  describeWithService("postgresql", "a PostgreSQL table", ({ url: database }) => {
    const schema = `shop_${process.pid}`;
    const index = `products-${process.pid}`;
    afterAll(async () => {
      await fetch(`${server}/${index}`, { method: "DELETE" });
      const client = new Client({ connectionString: database });
      await client.connect();
      await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
      await client.end();
    });

    async function run(...words: string[]): Promise<string[]> {
      const main = join(import.meta.dirname, "..", "src", "main.ts");
      const env = { ...process.env, POSTGRESQL_URL: database, ELASTICSEARCH_URL: server, SCHEMA: schema, INDEX: index };
      const { stdout } = await promisify(execFile)(process.execPath, [main, ...words], { env });
      return stdout.trim().split("\n");
    }

    it("finds products by their words and their price, and none that is no longer sold", async () => {
      expect(await run("warm", "jacket")).toEqual([
        "5 products can be searched",
        '"warm jacket" up to 100:',
        "  Fleece jacket (59.50)",
      ]);
      const found = await run("outdoor");
      expect(found.slice(2)).toEqual(["  Rain jacket (89.90)"]);
    });
  });
});
