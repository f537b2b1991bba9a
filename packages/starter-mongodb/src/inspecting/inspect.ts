import { type InspectedCollection, messageOf, type StoreInspection } from "@omni/p2p-core/starter";
import type { Db, Document, MongoClient } from "mongodb";
import { type CollectionInfo, listCollections } from "../client/collections.ts";

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
  const whole = database === undefined;
  const found = await Promise.all(names.map((name) => inspectDatabase(client.db(name), whole, signal)));
  return { product: await productName(client.db(usual), signal), collections: found.flat() };
}

async function productName(db: Db, signal: AbortSignal): Promise<string> {
  try {
    return productOf(await db.command({ buildInfo: 1 }, { signal }));
  } catch (error) {
    refused(error, signal);
    return "MongoDB";
  }
}

/** What the server said of one thing, while it answers; anything else is wrong with the whole of the looking. */
function refused(error: unknown, signal: AbortSignal): string {
  signal.throwIfAborted();
  // Only what the server itself says has a number.
  if (typeof (error as { code?: unknown }).code !== "number") throw error;
  return messageOf(error);
}

/** A FerretDB that was not built by its makers does not know its own version. */
function productOf({ version, ferretdbVersion }: Document): string {
  if (typeof ferretdbVersion !== "string") return `MongoDB ${version}`;
  return /\d/.test(ferretdbVersion)
    ? `FerretDB ${ferretdbVersion.replace(/^v/, "")}`
    : `FerretDB as MongoDB ${version}`;
}

/** The databases of a server that are not its own; the usual one where the user may not list them. */
export async function databaseNames(client: MongoClient, usual: string, signal: AbortSignal): Promise<string[]> {
  try {
    const { databases } = await client.db("admin").command({ listDatabases: 1, nameOnly: true }, { signal });
    return (databases as { name: string }[]).map(({ name }) => name).filter((name) => !SYSTEM_DATABASES.has(name));
  } catch {
    signal.throwIfAborted();
    return [usual];
  }
}

async function inspectDatabase(db: Db, whole: boolean, signal: AbortSignal): Promise<InspectedCollection[]> {
  const { databaseName } = db;
  try {
    const collections = await listCollections(db, signal);
    return await Promise.all(collections.map((collection) => inspectCollection(db, collection, whole, signal)));
  } catch (error) {
    return [{ name: databaseName, trouble: refused(error, signal), endpoint: { database: databaseName } }];
  }
}

/** @param whole whether the whole server is listed, so that a name needs its database */
async function inspectCollection(
  db: Db,
  { name, type }: CollectionInfo,
  whole: boolean,
  signal: AbortSignal,
): Promise<InspectedCollection> {
  const { databaseName } = db;
  const about = {
    name: whole ? `${databaseName}.${name}` : name,
    endpoint: { database: databaseName, metadata: { collection: name } },
  };
  // To count what is in a view, the server would have to run it.
  if (type === "view") return about;
  try {
    const { n }: Document = await db.command({ count: name }, { signal });
    return { ...about, records: Number(n) };
  } catch (error) {
    return { ...about, trouble: refused(error, signal) };
  }
}
