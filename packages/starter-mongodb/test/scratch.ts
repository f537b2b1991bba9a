import {
  type EndpointInfo,
  type OpenContext,
  type P2PDataTransferService,
  type P2PError,
  type P2PQuery,
  type P2PRecord,
  parseEndpoint,
  type ReadOptions,
  type RecordBatch,
} from "@omni/p2p-core/starter";
import { type Collection, type Document, MongoClient } from "mongodb";
import { afterAll } from "vitest";
import { mongodbStarter } from "../src/index.ts";

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

/** A signal that never aborts. */
export const calm: AbortSignal = new AbortController().signal;

/** Opens an endpoint as the manager does. */
export function open(
  endpoint: EndpointInfo,
  role: OpenContext["role"] = "source",
  connectTimeoutMs = 10_000,
): Promise<P2PDataTransferService> {
  return mongodbStarter.open(endpoint, { role, signal: calm, connectTimeoutMs });
}

/** All batches of a query. */
export async function readBatches(
  service: P2PDataTransferService,
  query: P2PQuery = {},
  options: Partial<ReadOptions> = {},
): Promise<RecordBatch[]> {
  const batches: RecordBatch[] = [];
  for await (const batch of service.readFromSource(query, { batchSize: 100, signal: calm, ...options })) {
    batches.push(batch);
  }
  return batches;
}

/** All records of a query. */
export async function readAll(
  service: P2PDataTransferService,
  query: P2PQuery = {},
  options: Partial<ReadOptions> = {},
): Promise<P2PRecord[]> {
  return (await readBatches(service, query, options)).flatMap(({ records }) => records);
}

/** What a promise was rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<P2PError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error === undefined) throw new Error("it was not rejected");
  return error as P2PError;
}
