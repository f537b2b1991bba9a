/** The catalogue of a database, or of a whole server: its collections and views. */
import {
  type CollectionCatalogue,
  type CollectionList,
  type EndpointInfo,
  endpointLabel,
  type ListedCollection,
  type OpenContext,
  P2PError,
} from "@omni/p2p-core/starter";
import type { Db, MongoClient } from "mongodb";
import { type CollectionInfo, listCollections } from "../client/collections.ts";
import { parseMongodbEndpoint } from "../endpoint.ts";
import { databaseNames } from "./inspect.ts";

/** Collections whose number of documents is asked for at a time. */
const AT_A_TIME = 16;

/** Lists what a server has, given a client of it and the database that an endpoint means when it names none. */
type List = (client: MongoClient, usual: string, signal: AbortSignal) => Promise<CollectionList>;

/** @param visit connects to a server, lists what it has, and closes the connection again. */
export function mongodbCollections(
  visit: (endpoint: EndpointInfo, context: OpenContext, list: List) => Promise<CollectionList>,
): CollectionCatalogue {
  return {
    async list(endpoint, context) {
      assertNoCollection(endpoint);
      const { database } = endpoint;
      if (database === undefined) return visit(endpoint, context, listServer);
      return visit(endpoint, context, async (client, _, signal) => ({
        collections: await listDatabase(client.db(database), false, signal),
      }));
    },
    endpointOf(endpoint, { namespace, name }) {
      assertNoCollection(endpoint);
      const { database = namespace } = endpoint;
      const collection = namespace === undefined || namespace === database ? name : `${namespace}.${name}`;
      const named = {
        ...endpoint,
        ...(database !== undefined && { database }),
        metadata: { ...endpoint.metadata, collection },
      };
      parseMongodbEndpoint(named, 1, "target");
      return named;
    },
  };
}

function assertNoCollection(endpoint: EndpointInfo): void {
  const { collection } = parseMongodbEndpoint(endpoint, 1, "source");
  if (collection === undefined) return;
  throw new P2PError(
    "INVALID_ENDPOINT",
    `Invalid endpoint ${endpointLabel(endpoint)}: it names the collection "${collection}", and the whole database is asked for; leave that option out`,
  );
}

async function listServer(client: MongoClient, usual: string, signal: AbortSignal): Promise<CollectionList> {
  const collections: ListedCollection[] = [];
  for (const name of await databaseNames(client, usual, signal)) {
    collections.push(...(await listDatabase(client.db(name), true, signal)));
  }
  return { collections };
}

/** @param whole whether the whole server is listed, so that a name needs its database. */
async function listDatabase(db: Db, whole: boolean, signal: AbortSignal): Promise<ListedCollection[]> {
  const found = await listCollections(db, signal);
  const listed: ListedCollection[] = [];
  for (let at = 0; at < found.length; at += AT_A_TIME) {
    listed.push(
      ...(await Promise.all(found.slice(at, at + AT_A_TIME).map((info) => listedOf(db, info, whole, signal)))),
    );
  }
  return listed;
}

async function listedOf(
  db: Db,
  { name, type }: CollectionInfo,
  whole: boolean,
  signal: AbortSignal,
): Promise<ListedCollection> {
  const about = { ...(whole && { namespace: db.databaseName }), name };
  if (type === "view") return { ...about, kind: "view", key: ["id"] };
  try {
    const { n } = await db.command({ count: name }, { signal });
    return { ...about, kind: "collection", records: Number(n), key: ["id"] };
  } catch (error) {
    signal.throwIfAborted();
    // What cannot be counted may be copied all the same; whatever is wrong is told then.
    if (typeof (error as { code?: unknown }).code !== "number") throw error;
    return { ...about, kind: "collection", key: ["id"] };
  }
}
