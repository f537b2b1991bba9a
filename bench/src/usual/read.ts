import { Client } from "@elastic/elasticsearch";
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import { MongoClient } from "mongodb";
import { maps } from "../limits/memory.ts";
import { connectTo, tableOf } from "../limits/postgresql.ts";
import { MONGODB_DATABASE, type Place, REDIS_PREFIX, SQLITE_TABLE, type Store } from "../places.ts";
import type { Row, Shape } from "../shapes.ts";

const PAGE = 100;

/** Records as the loops that one finds in most projects read them: one page after the other, by OFFSET or cursor. */
export const usualReaders: Readonly<Record<Store, (place: Place, shape: Shape) => AsyncIterable<Row>>> = {
  async *memory({ name }) {
    yield* maps.get(name)!.values();
  },

  async *sqlite({ name }, shape) {
    const database = new Database(name, { readonly: true });
    try {
      for (let offset = 0; ; offset += PAGE) {
        const page = database.prepare(`SELECT * FROM ${SQLITE_TABLE} LIMIT ${PAGE} OFFSET ${offset}`).all() as Row[];
        for (const row of page) yield typed(row, shape);
        if (page.length < PAGE) return;
      }
    } finally {
      database.close();
    }
  },

  async *redis({ server, name }, shape) {
    const redis = new Redis(server, { db: Number(name) });
    try {
      let cursor = "0";
      do {
        const [next, keys] = await redis.scan(cursor, "MATCH", `${REDIS_PREFIX}*`, "COUNT", PAGE);
        for (const key of keys) yield typed(JSON.parse((await redis.get(key))!) as Row, shape);
        cursor = next;
      } while (cursor !== "0");
    } finally {
      redis.disconnect();
    }
  },

  async *mongodb({ server, name }) {
    const client = await MongoClient.connect(server);
    try {
      const documents = client.db(MONGODB_DATABASE).collection<{ _id: string }>(name).find();
      for await (const { _id, ...fields } of documents) yield { id: _id, ...fields };
    } finally {
      await client.close();
    }
  },

  async *elasticsearch({ server, name }, shape) {
    const client = new Client({ node: server });
    try {
      let { hits, _scroll_id } = await client.search<Row>({ index: name, size: PAGE, scroll: "1m" });
      while (hits.hits.length > 0) {
        for (const { _source } of hits.hits) yield typed(_source!, shape);
        ({ hits, _scroll_id } = await client.scroll<Row>({ scroll_id: _scroll_id!, scroll: "1m" }));
      }
    } finally {
      await client.close();
    }
  },

  async *postgresql(place) {
    const client = await connectTo(place);
    try {
      for (let offset = 0; ; offset += PAGE) {
        const sql = `SELECT * FROM ${tableOf(place)} ORDER BY id LIMIT ${PAGE} OFFSET ${offset}`;
        const { rows } = await client.query<Row>(sql);
        yield* rows;
        if (rows.length < PAGE) return;
      }
    } finally {
      await client.end();
    }
  },
};

/** Makes booleans of the numbers and dates of the texts that stores have in their place. */
function typed(row: Row, shape: Shape): Row {
  for (const { name, kind } of shape.columns) {
    const value = row[name];
    if (kind === "boolean") row[name] = Boolean(value);
    if (kind === "date") row[name] = new Date(typeof value === "string" ? value : (value as { value: string }).value);
  }
  return row;
}
