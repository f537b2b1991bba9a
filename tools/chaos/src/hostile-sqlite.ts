import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isP2PError, parseEndpoint } from "@omni/p2p-core";
import { sqliteStarter } from "@omni/p2p-starter-sqlite";
import { newManager } from "./data.ts";
import { check, type Report } from "./report.ts";

/** What a hostile file may cost, in ms: the transfer's own limit, and some more for a machine that is busy. */
const LIMIT = 1500;
const GRACE = 5000;

/** The SQL of files that strangers may send: each with the table or view that is read of it. */
const FILES: readonly { readonly name: string; readonly read: string; readonly key?: string; readonly sql: string }[] =
  [
    {
      name: "a view that never ends",
      read: "trap",
      key: "id",
      sql: "CREATE VIEW trap AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT max(id) AS id FROM n",
    },
    {
      name: "views that multiply",
      read: "v24",
      key: "id",
      sql: `CREATE TABLE v0 (id); INSERT INTO v0 VALUES (1), (2);${Array.from(
        { length: 24 },
        (_, at) => `CREATE VIEW v${at + 1} AS SELECT a.id * 3 + b.id AS id FROM v${at} AS a, v${at} AS b;`,
      ).join("")}`,
    },
    {
      name: "a view of two thousand columns",
      read: "wide",
      key: "c0",
      sql: `CREATE VIEW wide AS SELECT ${Array.from({ length: 2000 }, (_, at) => `${at} AS c${at}`).join(", ")}`,
    },
    {
      name: "a trigger that loads a library",
      read: "t",
      sql: `CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);
      CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT load_extension('/tmp/evil.so'); END;
      CREATE VIEW y AS SELECT load_extension('/tmp/evil.so') AS id`,
    },
    {
      name: "a view that loads a library",
      read: "y",
      key: "id",
      sql: "CREATE TABLE t (id); CREATE VIEW y AS SELECT load_extension('/tmp/evil.so') AS id",
    },
  ];

/** Reads files of strangers: each ends in time, in a result or an error with a code, and the process lives on. */
export async function readHostileFiles(report: Report, random: () => number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "omni-p2p-hostile-"));
  try {
    for (const [at, { name, read, key, sql }] of FILES.entries()) {
      const file = join(folder, `${at}.db`);
      makeFile(file, sql);
      await report.run(`hostile sqlite: ${name}`, () => survive(file, read, key, join(folder, `${at}-copy.db`)));
    }
    for (let at = 0; at < 20; at++) {
      const file = join(folder, `corrupt-${at}.db`);
      makeFile(file, TABLE);
      corrupt(file, random);
      await report.run("hostile sqlite: corrupt pages", () =>
        survive(file, "t", undefined, join(folder, `corrupt-${at}-copy.db`)),
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const TABLE = `CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT, n REAL); CREATE INDEX i ON t (n);
  WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000)
    INSERT INTO t SELECT i, printf('%0200d', i), i / 7.0 FROM c`;

function makeFile(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
}

/** Puts other bytes in some places behind the header. */
function corrupt(file: string, random: () => number): void {
  const bytes = readFileSync(file);
  for (let i = 0; i < 60; i++) bytes[100 + Math.floor(random() * (bytes.length - 100))] = Math.floor(random() * 256);
  writeFileSync(file, bytes);
}

async function survive(file: string, table: string, key: string | undefined, target: string): Promise<string> {
  const since = performance.now();
  let longest = 0;
  let last = since;
  const ticker = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 20);
  try {
    const inspected = await outcome(async () => {
      const context = { role: "source", signal: AbortSignal.timeout(LIMIT), connectTimeoutMs: LIMIT } as const;
      const { collections } = await sqliteStarter.inspect!(parseEndpoint(`sqlite:${file}`), context);
      return `${collections.length} listed`;
    });
    const manager = newManager();
    const copied = await outcome(async () => {
      const source = { storageType: "sqlite", database: file, metadata: { table, ...(key && { key }) } };
      const { connectionId } = await manager.establish(source, `sqlite:${target}`, { transfer_timeout: LIMIT });
      const result = await manager.transferThroughConnection(connectionId, {}, { maxFailures: "all" });
      return `${result.successCount} copied`;
    });
    await manager.close();
    const took = performance.now() - since;
    check(took < 2 * LIMIT + GRACE, `it took ${Math.round(took)} ms`);
    check(longest < GRACE, `the event loop was held up for ${Math.round(longest)} ms`);
    return `${inspected}, ${copied}`;
  } finally {
    clearInterval(ticker);
  }
}

/** What became of it: only errors that say what they are will do. */
async function outcome(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    const named = isP2PError(error) || (error as Error).name === "TimeoutError";
    check(named, `it ended with ${(error as Error).stack}`);
    return isP2PError(error) ? error.code : "TimeoutError";
  }
}
