import { Client } from "@elastic/elasticsearch";
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import { MongoClient } from "mongodb";
import { createIndex } from "../limits/elasticsearch.ts";
import { maps } from "../limits/memory.ts";
import { connectTo, createTable, tableOf } from "../limits/postgresql.ts";
import { MONGODB_DATABASE, type Place, REDIS_PREFIX, SQLITE_TABLE, type Store } from "../places.ts";
import type { Row, Shape } from "../shapes.ts";

/** Writes one record at a time. */
export interface RecordWriter {
  write(row: Row): Promise<unknown> | undefined;
  close(): Promise<unknown> | undefined;
}

/** Records as the loops that one finds in most projects write them: one, and then the next. */
export const usualWriters: Readonly<Record<Store, (place: Place, shape: Shape) => Promise<RecordWriter>>> = {
  async memory({ name }) {
    const target = new Map<string, Row>();
    maps.set(name, target);
    return { write: (row) => void target.set(row.id, row), close: () => undefined };
  },

  async sqlite({ name }, shape) {
    const database = new Database(name);
    const names = ["id", ...shape.columns.map((column) => column.name)];
    database.exec(`CREATE TABLE ${SQLITE_TABLE} (${names.join(", ")}, PRIMARY KEY (id))`);
    const insert = database.prepare(
      `INSERT OR REPLACE INTO ${SQLITE_TABLE} VALUES (${names.map(() => "?").join(", ")})`,
    );
    return {
      write: (row) => void insert.run(names.map((column) => cell(row[column]))),
      close: () => void database.close(),
    };
  },

  async redis({ server, name }) {
    const redis = new Redis(server, { db: Number(name) });
    return {
      write: (row) => redis.set(REDIS_PREFIX + row.id, JSON.stringify(row)),
      close: () => redis.disconnect() as undefined,
    };
  },

  async mongodb({ server, name }) {
    const client = await MongoClient.connect(server);
    const collection = client.db(MONGODB_DATABASE).collection<{ _id: string }>(name);
    return {
      write: ({ id, ...fields }) => collection.replaceOne({ _id: id }, fields, { upsert: true }),
      close: () => client.close(),
    };
  },

  async elasticsearch({ server, name }, shape) {
    const client = new Client({ node: server });
    await createIndex(client, name, shape);
    return {
      write: (row) => client.index({ index: name, id: row.id, document: row }),
      close: () => client.close(),
    };
  },

  async postgresql(place, shape) {
    const client = await connectTo(place);
    await createTable(client, place, shape);
    const names = ["id", ...shape.columns.map((column) => column.name)];
    const text = `INSERT INTO ${tableOf(place)} VALUES (${names.map((_, index) => `$${index + 1}`).join(", ")})
      ON CONFLICT (id) DO UPDATE SET ${names.map((column) => `${column} = excluded.${column}`).join(", ")}`;
    return {
      write: (row) =>
        client.query(
          text,
          names.map((column) => row[column]),
        ),
      close: () => client.end(),
    };
  },
};

function cell(value: unknown): unknown {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (value instanceof Date) return value.toISOString();
  return value;
}
