import { Client } from "@elastic/elasticsearch";
import { dropMemoryStore } from "@omni/p2p-starter-memory";
import { Redis } from "ioredis";
import { MongoClient } from "mongodb";
import { removeDatabase } from "./data.ts";
import { maps } from "./limits/memory.ts";
import { connectTo, tableOf } from "./limits/postgresql.ts";
import { MONGODB_DATABASE, type Place } from "./places.ts";

/** Removes what is in a place, and the place itself where the store has such a thing. */
export async function emptyPlace(place: Place): Promise<void> {
  const { store, server, name } = place;
  switch (store) {
    case "memory":
      dropMemoryStore(name);
      maps.delete(name);
      return;
    case "sqlite":
      removeDatabase(name);
      return;
    case "redis": {
      const redis = new Redis(server, { db: Number(name) });
      await redis.flushdb();
      redis.disconnect();
      return;
    }
    case "mongodb": {
      const client = await MongoClient.connect(server);
      await client.db(MONGODB_DATABASE).dropCollection(name);
      await client.close();
      return;
    }
    case "elasticsearch": {
      const client = new Client({ node: server });
      await client.indices.delete({ index: name, ignore_unavailable: true });
      await client.close();
      return;
    }
    case "postgresql": {
      const client = await connectTo(place);
      await client.query(`DROP TABLE IF EXISTS ${tableOf(place)}`);
      await client.end();
    }
  }
}
