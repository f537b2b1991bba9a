import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { promisify } from "node:util";
import type { Store } from "@omni/p2p-matrix/stores";
import { dropMemoryStore, memoryStore } from "@omni/p2p-starter-memory";
import { Redis } from "ioredis";
import { MongoClient } from "mongodb";
import { Client, escapeIdentifier } from "pg";

/** How a thing loses what is in it: it goes itself and may come back by its name, or only its records go. */
export type Loss = "dropped" | "emptied";

/** Takes a place's records away behind our back, by the store's own means. */
export async function loseRecords(store: Store, place: string, loss: Loss): Promise<void> {
  if (store === "memory") {
    const name = place.slice("memory:".length);
    if (loss === "dropped") dropMemoryStore(name);
    else memoryStore(name).clear();
  } else if (store === "sqlite") await loseFile(place, loss);
  else if (store === "redis") await loseKeys(place);
  else if (store === "mongodb") await loseCollection(place, loss);
  else if (store === "postgresql") await loseTable(place, loss);
  else await loseIndex(place, loss);
}

async function loseFile(place: string, loss: Loss): Promise<void> {
  const [file] = place.slice("sqlite:".length).split("?");
  if (loss === "dropped") {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true });
    return;
  }
  // In a process of its own: two copies of SQLite in one process undo each other's locks.
  const script = `const { DatabaseSync } = require("node:sqlite");
    new DatabaseSync(process.argv[1], { timeout: 10_000 }).exec("DELETE FROM records");`;
  await promisify(execFile)(process.execPath, ["--no-warnings", "-e", script, file!]);
}

async function loseKeys(place: string): Promise<void> {
  const url = new URL(place);
  const prefix = url.searchParams.get("prefix")!;
  url.search = "";
  const redis = new Redis(url.href);
  const keys = await redis.keys(`${prefix}*`);
  for (let from = 0; from < keys.length; from += 500) await redis.unlink(...keys.slice(from, from + 500));
  redis.disconnect();
}

async function loseCollection(place: string, loss: Loss): Promise<void> {
  const url = new URL(place);
  const name = url.searchParams.get("collection")!;
  url.searchParams.delete("collection");
  const client = await MongoClient.connect(url.href);
  const collection = client.db().collection(name);
  if (loss === "dropped") await collection.drop();
  else await collection.deleteMany({});
  await client.close();
}

async function loseTable(place: string, loss: Loss): Promise<void> {
  const url = new URL(place);
  const table = escapeIdentifier(url.searchParams.get("table")!);
  url.search = "";
  const client = new Client(url.href);
  await client.connect();
  await client.query(loss === "dropped" ? `DROP TABLE ${table}` : `DELETE FROM ${table}`);
  await client.end();
}

async function loseIndex(place: string, loss: Loss): Promise<void> {
  const url = new URL(place.replace(/^elasticsearch\+/, ""));
  const at = `${url.origin}${url.pathname}`;
  const answer = loss === "dropped" ? await fetch(at, { method: "DELETE" }) : await deleteDocuments(at);
  if (!answer.ok) throw new Error(`${at} could not be ${loss}: ${answer.status} ${await answer.text()}`);
}

/** One by one: the native server has no module that deletes by a query. */
async function deleteDocuments(at: string): Promise<Response> {
  const send = (path: string, body: string) =>
    fetch(`${at}/${path}`, { method: "POST", headers: { "content-type": "application/json" }, body });
  await send("_refresh", "");
  const search = await send("_search?size=10000", '{"_source":false}');
  const { hits } = (await search.json()) as { hits: { hits: { _id: string; _routing?: string }[] } };
  const lines = hits.hits.map(({ _id, _routing }) => `${JSON.stringify({ delete: { _id, routing: _routing } })}\n`);
  return lines.length === 0 ? search : send("_bulk?refresh=true", lines.join(""));
}
