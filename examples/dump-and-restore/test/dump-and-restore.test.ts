import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Long, MongoClient, ObjectId } from "mongodb";
import { afterAll, beforeAll, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-dump-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describeWithService("mongodb", "dumping a collection", (server) => {
  const database = `dump_${process.pid}`;
  let client: MongoClient;
  const orders = Array.from({ length: 1200 }, (_, i) => ({
    _id: new ObjectId(),
    total: Long.fromString(`9007199254740${String(i).padStart(4, "0")}`),
    at: new Date(i * 60_000),
    lines: [{ article: `a-${i}`, count: i % 5 }],
    note: i % 3 === 0 ? null : `Nº ${i}`,
  }));

  beforeAll(async () => {
    client = await MongoClient.connect(server.url);
    await client.db(database).collection("orders").insertMany(orders);
  });
  afterAll(async () => {
    await client.db(database).dropDatabase();
    await client.close();
  });

  async function run(command: string, collection: string): Promise<string> {
    const url = new URL(server.url);
    url.pathname = `/${database}`;
    url.searchParams.set("collection", collection);
    const main = join(import.meta.dirname, "..", "src", "main.ts");
    const env = { ...process.env, MONGODB_URL: url.href };
    const { stdout } = await promisify(execFile)(process.execPath, [main, command, "orders.ndjson.gz"], {
      cwd: folder,
      env,
    });
    return stdout.trim();
  }

  it("gives a file of one record a line, from which the same documents come back", async () => {
    expect(await run("dump", "orders")).toBe("1200 records in orders.ndjson.gz, equal: true");
    const lines = gunzipSync(readFileSync(join(folder, "orders.ndjson.gz")))
      .toString()
      .trim()
      .split("\n");
    expect(lines).toHaveLength(1200);
    expect(JSON.parse(lines[0]!)).toMatchObject({ lines: [{ article: "a-0", count: 0 }], note: null });

    expect(await run("restore", "orders_again")).toBe("1200 records brought back, equal: true");
    const again = await client
      .db(database)
      .collection("orders_again")
      .find({}, { promoteLongs: false })
      .sort({ _id: 1 })
      .toArray();
    expect(again).toEqual(orders);
  });

  it("does not overwrite a dump that is there", async () => {
    expect(existsSync(join(folder, "orders.ndjson.gz"))).toBe(true);
    await expect(run("dump", "orders")).rejects.toThrow(/already|exists/);
  });
});
