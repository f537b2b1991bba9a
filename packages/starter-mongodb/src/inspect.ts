import type { InspectedCollection, StoreInspection } from "@omni/p2p-core";
import type { Db, Document, MongoClient } from "mongodb";
import { type CollectionInfo, listCollections } from "./place.ts";

/** Databases of the server's own. */
const SYSTEM_DATABASES: ReadonlySet<string> = new Set(["admin", "config", "local"]);

/**
 * The collections of a server, with what the server itself keeps count of.
 *
 * @param database the only one to look at; all of them when `undefined`
 * @param usual the database to fall back upon where the user may not list them
 */
export async function inspectServer(
  client: MongoClient,
  database: string | undefined,
  usual: string,
  signal: AbortSignal,
): Promise<StoreInspection> {
  const names = database === undefined ? await databaseNames(client, usual, signal) : [database];
  const found = await Promise.all(names.map((name) => inspectDatabase(client.db(name), signal)));
  const info: Document = await client.db(usual).command({ buildInfo: 1 }, { signal });
  return { product: productOf(info), collections: found.flat() };
}

/** A FerretDB that was not built by its makers does not know its own version. */
function productOf({ version, ferretdbVersion }: Document): string {
  if (typeof ferretdbVersion !== "string") return `MongoDB ${version}`;
  return /\d/.test(ferretdbVersion)
    ? `FerretDB ${ferretdbVersion.replace(/^v/, "")}`
    : `FerretDB as MongoDB ${version}`;
}

async function databaseNames(client: MongoClient, usual: string, signal: AbortSignal): Promise<string[]> {
  try {
    const { databases } = await client.db("admin").command({ listDatabases: 1, nameOnly: true }, { signal });
    return (databases as { name: string }[]).map(({ name }) => name).filter((name) => !SYSTEM_DATABASES.has(name));
  } catch {
    signal.throwIfAborted();
    return [usual];
  }
}

async function inspectDatabase(db: Db, signal: AbortSignal): Promise<InspectedCollection[]> {
  const collections = await listCollections(db, signal);
  return Promise.all(collections.map((collection) => inspectCollection(db, collection, signal)));
}

async function inspectCollection(
  db: Db,
  { name, type }: CollectionInfo,
  signal: AbortSignal,
): Promise<InspectedCollection> {
  const endpoint = { database: db.databaseName, metadata: { collection: name } };
  // To count what is in a view, the server would have to run it.
  if (type === "view") return { name, endpoint };
  const { n }: Document = await db.command({ count: name }, { signal });
  return { name, records: Number(n), endpoint };
}
