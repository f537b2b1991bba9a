/** Writers: each changes a store as an application does, by the store's own client. */
import { memoryStore } from "@omni/p2p-starter-memory";
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import { MongoClient } from "mongodb";
import { Pool } from "pg";
import type { Document } from "./document.ts";
import { partsOf } from "./places.ts";

/** Changes one collection; a promise that resolves means that the change is committed. */
export interface Writer {
  put(document: Document): Promise<void>;
  remove(id: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens the writer of a place, and makes the table where the store needs one. */
export async function openWriter(place: string): Promise<Writer> {
  const storageType = place.slice(0, place.indexOf(":"));
  const open = WRITERS[storageType];
  if (!open) throw new Error(`There is no writer for ${storageType}`);
  return open(place);
}

const WRITERS: Readonly<Record<string, (place: string) => Promise<Writer>>> = {
  memory: writeToMemory,
  sqlite: writeToSqlite,
  redis: writeToRedis,
  mongodb: writeToMongodb,
  postgresql: writeToPostgresql,
};

async function writeToMemory(place: string): Promise<Writer> {
  const store = memoryStore(partsOf(place).name);
  return {
    put: async (document) => store.put({ ...document }),
    remove: async (id) => void store.delete(id),
    close: async () => {},
  };
}

async function writeToSqlite(place: string): Promise<Writer> {
  const { file, table } = partsOf(place);
  const database = new Database(file, { timeout: 20_000 });
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = NORMAL");
  database.exec(`CREATE TABLE IF NOT EXISTS "${table}" (id TEXT PRIMARY KEY, change INTEGER, text TEXT, at TEXT)`);
  const upsert = database.prepare(
    `INSERT INTO "${table}" VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET change = excluded.change, text = excluded.text, at = excluded.at`,
  );
  const remove = database.prepare(`DELETE FROM "${table}" WHERE id = ?`);
  return {
    put: async ({ id, change, text, at }) => void upsert.run(id, change, text, at.toISOString()),
    remove: async (id) => void remove.run(id),
    close: async () => void database.close(),
  };
}

async function writeToRedis(place: string): Promise<Writer> {
  const { server, name: prefix } = partsOf(place);
  const client = new Redis(server, { lazyConnect: true });
  await client.connect();
  return {
    put: async (document) => void (await client.set(`${prefix}${document.id}`, JSON.stringify(document))),
    remove: async (id) => void (await client.del(`${prefix}${id}`)),
    close: async () => client.disconnect(),
  };
}

async function writeToMongodb(place: string): Promise<Writer> {
  const { server, name, database } = partsOf(place);
  const client = await MongoClient.connect(server);
  const collection = client.db(database).collection<{ _id: string }>(name);
  return {
    // One whole document each: the stand-in names no id for updates by operators.
    put: async ({ id, ...rest }) => void (await collection.replaceOne({ _id: id }, rest, { upsert: true })),
    remove: async (id) => void (await collection.deleteOne({ _id: id })),
    close: () => client.close(),
  };
}

async function writeToPostgresql(place: string): Promise<Writer> {
  const parts = partsOf(place);
  const table = `"${parts.table}"`;
  const pool = new Pool({ connectionString: parts.server, max: 4 });
  await pool.query(
    `CREATE TABLE IF NOT EXISTS ${table} (id text PRIMARY KEY, change int NOT NULL, text text, at timestamptz(3))`,
  );
  const upsert = `INSERT INTO ${table} VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET change = excluded.change, text = excluded.text, at = excluded.at`;
  return {
    put: async ({ id, change, text, at }) =>
      void (await pool.query({ name: "upsert", text: upsert, values: [id, change, text, at] })),
    remove: async (id) =>
      void (await pool.query({ name: "remove", text: `DELETE FROM ${table} WHERE id = $1`, values: [id] })),
    close: () => pool.end(),
  };
}
