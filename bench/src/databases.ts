// `node bench/src/databases.ts ['sqlite -> postgresql' …]`: what a copy of 200 tables of 1,000 rows takes beside the copy of one table of as
// many rows, by turns in one process, after a round that does not count. P2P_BENCH_ROUNDS (5) sets how many.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import Database from "better-sqlite3";
import { Client } from "pg";
import { alone } from "./lock.ts";
import { median, timed } from "./measure.ts";
import { Servers } from "./servers.ts";

const TABLES = 200;
const ROWS = 1000;
const ROUNDS = Number(process.env.P2P_BENCH_ROUNDS ?? 5);
const STORES = ["sqlite", "postgresql"] as const;
type Store = (typeof STORES)[number];

const directions = STORES.flatMap((from) => STORES.map((to) => `${from} -> ${to}`));
const meant = process.argv.length > 2 ? process.argv.slice(2) : directions;
const folder = mkdtempSync(join(tmpdir(), "p2p-databases-"));
const servers = new Servers();
try {
  for (const direction of directions.filter((one) => meant.includes(one))) {
    const [from, to] = direction.split(" -> ") as [Store, Store];
    const places = { many: await filled(from, "many", TABLES, ROWS), one: await filled(from, "one", 1, TABLES * ROWS) };
    const taken = { many: [] as number[], one: [] as number[] };
    for (let round = -1; round < ROUNDS; round++) {
      for (const what of ["one", "many"] as const) {
        const target = await emptied(to);
        const ms = await alone(() => timed(() => copied(places[what], target)));
        if (round >= 0) taken[what].push(ms);
      }
    }
    const ratio = median(taken.many.map((ms, round) => ms / taken.one[round]!));
    const shown = (times: readonly number[]) => times.map((ms) => Math.round(ms)).join(", ");
    console.log(
      `${direction}: ${TABLES} tables take ${ratio.toFixed(2)} of one (ms: ${shown(taken.many)}; one: ${shown(taken.one)})`,
    );
  }
} finally {
  await servers.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function copied(source: string, target: string): Promise<void> {
  const manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
  const result = await manager.transferDatabase(source, target, { checkpoint: join(folder, "state") }).done;
  await manager.close();
  assert.equal(result.status, "completed");
  assert.equal(result.counts.successCount, TABLES * ROWS);
}

/** A database with so many tables of so many rows. */
async function filled(store: Store, name: string, tables: number, rows: number): Promise<string> {
  const columns = "id INTEGER PRIMARY KEY, name TEXT NOT NULL, price DOUBLE PRECISION, amount INTEGER, note TEXT";
  if (store === "sqlite") {
    const file = join(folder, `${name}.db`);
    rmSync(file, { force: true });
    const db = new Database(file);
    db.exec("BEGIN");
    for (let table = 0; table < tables; table++) {
      db.exec(`CREATE TABLE t${table} (${columns});
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
        INSERT INTO t${table} SELECT i, 'name ' || i, i / 3.0, i % 7, 'a note of about forty characters ' || i FROM n`);
    }
    db.exec("COMMIT");
    db.close();
    return `sqlite:${file}`;
  }
  return inServer(async (client, url) => {
    await client.query(`DROP SCHEMA IF EXISTS ${name} CASCADE; CREATE SCHEMA ${name}`);
    for (let table = 0; table < tables; table++) {
      await client.query(`CREATE TABLE ${name}.t${table} (${columns}); INSERT INTO ${name}.t${table}
        SELECT i, 'name ' || i, i / 3.0, i % 7, 'a note of about forty characters ' || i FROM generate_series(1, ${rows}) i`);
    }
    await client.query("ANALYZE");
    return withSchema(url, name);
  });
}

/** An empty database. */
async function emptied(store: Store): Promise<string> {
  if (store === "sqlite") {
    for (const end of ["", "-wal", "-shm"]) rmSync(join(folder, `target.db${end}`), { force: true });
    return `sqlite:${join(folder, "target.db")}`;
  }
  return inServer(async (client, url) => {
    await client.query("DROP SCHEMA IF EXISTS target CASCADE; CREATE SCHEMA target");
    return withSchema(url, "target");
  });
}

function withSchema(url: string, schema: string): string {
  const endpoint = new URL(url);
  endpoint.searchParams.set("schema", schema);
  return endpoint.href;
}

async function inServer<T>(work: (client: Client, url: string) => Promise<T>): Promise<T> {
  const url = await servers.url("postgresql");
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client, url);
  } finally {
    await client.end();
  }
}
