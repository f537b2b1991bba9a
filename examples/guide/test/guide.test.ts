import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeWithService } from "@omni/p2p-test-services/suite";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const examples = join(import.meta.dirname, "..", "src");
const repository = join(import.meta.dirname, "..", "..", "..");
const folder = mkdtempSync(join(tmpdir(), "omni-p2p-guide-"));

/** The database that the guide's examples read: 1,200 documents, half of them of the type `knowledge`. */
function makeKnowledgeBase(): void {
  mkdirSync(join(folder, "data"));
  const database = new Database(join(folder, "data", "knowledge.db"));
  database.exec("CREATE TABLE docs (id TEXT PRIMARY KEY, type TEXT, title TEXT)");
  const insert = database.prepare("INSERT INTO docs VALUES (?, ?, ?)");
  database.transaction(() => {
    for (let i = 0; i < 1200; i++)
      insert.run(`doc-${String(i).padStart(5, "0")}`, i % 2 ? "note" : "knowledge", `Title ${i}`);
  })();
  database.close();
}

async function run(example: string, env: Record<string, string> = {}): Promise<string> {
  const { stdout } = await promisify(execFile)("node", [join(examples, `${example}.ts`)], {
    cwd: folder,
    env: { ...process.env, ...env },
  });
  return stdout;
}

beforeAll(makeKnowledgeBase);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the guide's examples", () => {
  it("0: moves a table in a few lines", async () => {
    expect(await run("0-first-transfer")).toMatch(/^1200 records in \d+ ms$/m);
  });

  it("1: establishes a connection", async () => {
    expect(await run("1-establish")).toMatch(/^Connection established: [0-9a-f-]{36}$/m);
  });

  it("2: transfers what a query asks for", async () => {
    expect(await run("2-transfer")).toMatch(/^Transferred 600 records in \d+ ms$/m);
  });

  it("3: uses one connection for several transfers", async () => {
    const lines = (await run("3-reuse")).trim().split("\n");
    expect(lines).toEqual(Array.from({ length: 10 }, (_, page) => `Page ${page}: 100 records`));
  });

  it("4: asks for its health", async () => {
    expect(await run("4-health")).toContain("Connection ESTABLISHED, healthy: true");
  });

  it("5: shows statistics", async () => {
    const output = await run("5-statistics");
    expect(output).toContain("Total transfers: 1\nTotal records: 1200");
    expect(output).toMatch(/Last transfer: \d{4}-/);
  });

  it("7: closes", async () => {
    expect(await run("7-close")).toContain("Connection closed");
  });
});

describeWithService("mongodb", "the guide's sixth example", (mongodb) => {
  describeWithService("redis", "with MongoDB and Redis", (redis) => {
    it("6: keeps several connections", async () => {
      const url = new URL(mongodb.url);
      url.pathname = `/guide_${process.pid}`;
      url.searchParams.set("collection", "docs");
      const output = await run("6-several", {
        MONGODB_URL: url.href,
        REDIS_URL: `${redis.url.replace(/\/\d*$/, "")}/0?prefix=guide-${process.pid}:`,
      });
      expect(output).toContain("sqlite -> mongodb (IDLE)\nmongodb -> redis (IDLE)");
    });
  });
});

describe.each(["README.md", "README.zh-CN.md"])("%s", (name) => {
  it("shows every example as it is", () => {
    const readme = readFileSync(join(repository, name), "utf8");
    for (const file of readdirSync(examples)) {
      expect(readme, file).toContain(`\`\`\`ts\n${readFileSync(join(examples, file), "utf8")}\`\`\``);
    }
  });
});
