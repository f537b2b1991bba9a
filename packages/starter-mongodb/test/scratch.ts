import { type EndpointInfo, parseEndpoint } from "@omni/p2p-core";
import { type Collection, type Document, MongoClient } from "mongodb";
import { afterAll } from "vitest";

/** A collection for one test, seen by the driver alone. */
export interface ScratchCollection {
  readonly endpoint: EndpointInfo;
  readonly collection: Collection<Document>;
  dispose(): Promise<void>;
}

/** Collections of a database of their own, which is dropped when the suite ends. */
export function scratchCollections(url: string, suite: string) {
  const database = `p2p-test-${suite}-${process.pid}`;
  const client = new MongoClient(url, { useBigInt64: true });
  let made = 0;
  afterAll(async () => {
    await client.db(database).dropDatabase();
    await client.close();
  });

  const createEndpoint = async (): Promise<ScratchCollection> => {
    const collection = client.db(database).collection(`c${++made}`);
    return {
      endpoint: endpointFor(url, database, { collection: collection.collectionName }),
      collection,
      dispose: async () => {
        await collection.drop().catch(() => {});
      },
    };
  };
  return { createEndpoint, database, client };
}

/** The endpoint of a database on the server of a URL. */
export function endpointFor(url: string, database: string, options: Record<string, unknown> = {}): EndpointInfo {
  const { host, port, metadata } = parseEndpoint(url);
  return parseEndpoint({
    storageType: "mongodb",
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    database,
    metadata: { ...metadata, ...options },
  });
}
