import {
  type ChangeStatus,
  CONTRACT_VERSION,
  type EndpointInfo,
  type OpenContext,
  type P2PDataTransferService,
  P2PError,
  type P2PStarter,
  withDeadline,
} from "@omni/p2p-core/starter";
import type { Db, MongoClient } from "mongodb";
import { changeStatus, enableChanges, mongodbChangeFeed } from "./changes.ts";
import { closeClient, connect, type Driver, notInTime } from "./client/client.ts";
import { collectionNotFound, findCollection, listCollections } from "./client/collections.ts";
import { dialectOf, MONGODB } from "./client/dialect.ts";
import { mongodbError } from "./client/errors.ts";
import { storeIdentity } from "./client/identity.ts";
import { mongodbLeases } from "./client/leases.ts";
import { shardKeyOf } from "./client/shard-key.ts";
import { STORE } from "./client/storage-type.ts";
import { type MongodbEndpoint, mongodbOptions, parseMongodbEndpoint } from "./endpoint.ts";
import { mongodbCollections } from "./inspecting/collections.ts";
import { describeSample } from "./inspecting/describe-mapping.ts";
import { inspectServer } from "./inspecting/inspect.ts";
import type { OpenCollection } from "./query/open-collection.ts";
import { partitionQuery } from "./query/partition.ts";
import { readBatches } from "./read.ts";
import { countRecords } from "./reading/count.ts";
import { lookUpRecords } from "./reading/look-up.ts";
import { mongodbCapabilities } from "./types.ts";
import { RecordDecoder } from "./values/decode.ts";
import { RecordEncoder } from "./values/encode.ts";
import { comparable, idForm } from "./values/id-form.ts";
import { Writer } from "./write.ts";
import { deleteRecords } from "./writing/delete.ts";

/** Largest document of MongoDB, where the server does not say. */
const DEFAULT_MAX_BYTES = 16 * 1024 * 1024;
/** Collections that an error message names at most. */
const MAX_LISTED = 20;

/**
 * Opens `mongodb:` endpoints: one collection of a MongoDB database, or of a server that speaks its protocol.
 *
 * @example
 * ```ts
 * manager.registerService("mongodb", mongodbStarter);
 * await manager.establish("mongodb://localhost/app?collection=docs", "sqlite:./docs.db?table=docs");
 * ```
 */
export const mongodbStarter: P2PStarter = {
  storageType: STORE,
  contractVersion: CONTRACT_VERSION,
  threads: true,
  options: mongodbOptions,
  capabilities: mongodbCapabilities(MONGODB, true),
  async open(endpoint, context) {
    return connected(endpoint, context, async (driver, client, parsed, signal) =>
      serve(driver, client, await openCollection(driver, client, parsed, context.role, signal)),
    );
  },
  async inspect(endpoint, context) {
    return connected(endpoint, context, async (_, client, { database }, signal) => {
      const inspection = await inspectServer(client, endpoint.database, database, signal);
      await closeClient(client);
      return inspection;
    });
  },
  collections: mongodbCollections((endpoint, context, list) =>
    connected(endpoint, { ...context, role: "source" }, async (_, client, { database }, signal) => {
      const found = await list(client, database, signal);
      await closeClient(client);
      return found;
    }),
  ),
  async describeMapping(endpoint, sample, context) {
    const writing = { ...context, role: "target" } as const;
    return connected(endpoint, writing, async (driver, client, parsed, signal) => {
      const { dialect, encoder } = await openCollection(driver, client, parsed, writing.role, signal);
      await closeClient(client);
      return describeSample(sample, dialect, encoder);
    });
  },
  changes: {
    status: withChanges(changeStatus),
    enable: withChanges(enableChanges),
    // Nothing is kept for followers, and nothing was turned on.
    disable: withChanges(changeStatus),
  },
};

/** What is done with a collection that is opened for it alone. */
function withChanges(
  use: (opened: OpenCollection, signal: AbortSignal) => Promise<ChangeStatus>,
): (endpoint: EndpointInfo, context: OpenContext) => Promise<ChangeStatus> {
  return (endpoint, context) =>
    connected(endpoint, context, async (driver, client, parsed, signal) => {
      const status = await use(await openCollection(driver, client, parsed, context.role, signal), signal);
      await closeClient(client);
      return status;
    });
}

/** Connects and does something with the client, all of it in the time there is; the client is closed when it fails. */
async function connected<T>(
  endpoint: EndpointInfo,
  { role, signal, connectTimeoutMs }: OpenContext,
  use: (driver: Driver, client: MongoClient, parsed: MongodbEndpoint, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const started = performance.now();
  const parsed = parseMongodbEndpoint(endpoint, connectTimeoutMs, role);
  const driver = await import("mongodb");
  const client = await connect(driver, parsed, connectTimeoutMs, signal);
  const left = connectTimeoutMs - (performance.now() - started);
  try {
    return await withDeadline(
      left,
      signal,
      () => notInTime(parsed.label, connectTimeoutMs),
      (either) => use(driver, client, parsed, either),
    );
  } catch (error) {
    await closeClient(client);
    signal.throwIfAborted();
    throw mongodbError(error, "open", parsed.label);
  }
}

/** Asks the server what it is, and makes sure of the collection. */
async function openCollection(
  driver: Driver,
  client: MongoClient,
  { database, collection, label }: MongodbEndpoint,
  role: OpenContext["role"],
  signal: AbortSignal,
): Promise<OpenCollection> {
  const db = client.db(database);
  const [hello, dialect] = await Promise.all([db.command({ hello: 1 }, { signal }), dialectOf(db, signal)]);
  const name = collection ?? (await onlyCollection(db, label, signal));
  const info = await findCollection(db, name, signal);
  if (role === "source") {
    if (info === undefined) throw collectionNotFound(name, label);
  } else if (hello.isWritablePrimary === false || hello.readOnly === true) {
    throw notWritable(
      label,
      "the server is not the primary of its replica set; leave directConnection out, or name the primary",
    );
  } else if (info?.type === "view") {
    throw notWritable(label, `${JSON.stringify(name)} is a view; name the collection under it`);
  }
  return {
    db,
    collection: db.collection(name),
    dialect,
    encoder: new RecordEncoder(dialect, driver),
    bson: driver.BSON,
    decoder: new RecordDecoder((bytes) => new driver.Decimal128(bytes).toString()),
    collated: info?.options?.collation !== undefined,
    shardKey: await shardKeyOf(db, name, hello, signal),
    // A server that only speaks the protocol takes a session and makes nothing of it.
    sessions: dialect.complete && typeof hello.logicalSessionTimeoutMinutes === "number",
    deletable: info?.type === undefined || info.type === "collection",
    maxDocumentBytes: typeof hello.maxBsonObjectSize === "number" ? hello.maxBsonObjectSize : DEFAULT_MAX_BYTES,
    label,
  };
}

/** The collection of a database that has just one. */
async function onlyCollection(db: Db, label: string, signal: AbortSignal): Promise<string> {
  const names = (await listCollections(db, signal)).map(({ name }) => name);
  if (names.length === 1) return names[0]!;
  const found = names.length === 0 ? "there is none" : `there are ${names.length}: ${listed(names)}`;
  throw new P2PError(
    names.length === 0 ? "SOURCE_NOT_FOUND" : "INVALID_ENDPOINT",
    `${label} names no collection, and ${found}. Add ?collection=name to the endpoint`,
  );
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, MAX_LISTED).join(", ");
  return names.length > MAX_LISTED ? `${shown}, …` : shown;
}

function notWritable(label: string, why: string): P2PError {
  return new P2PError("TARGET_NOT_WRITABLE", `Cannot write to ${label}: ${why}`);
}

function serve({ BSON }: Driver, client: MongoClient, opened: OpenCollection): P2PDataTransferService {
  /** As it is read now: more carefully once somebody follows. */
  let read = opened;
  const changes = mongodbChangeFeed(opened, (followed) => {
    read = followed;
  });
  const writer = new Writer(opened, (document) => BSON.calculateObjectSize(document, { ignoreUndefined: true }));
  return {
    capabilities: mongodbCapabilities(opened.dialect, opened.deletable),
    readFromSource: (query, options) => readBatches(read, query, options),
    writeToTarget: (records, options) => writer.write(records, options),
    count: (query, signal) => countRecords(read, query, signal),
    partitions: (query, parts, signal) => partitionQuery(read, query, parts, signal),
    lookUp: (refs, query, options) => lookUpRecords(read, refs, query, options),
    deleteFromTarget: (refs, options) => deleteRecords(opened, refs, options),
    idForm,
    ...(opened.dialect.complete && { changes }),
    comparable,
    identity: (signal) => storeIdentity(opened, signal),
    // FerretDB finds first and then writes by _id alone, so that two could take one lease.
    ...(opened.dialect.complete && { leases: mongodbLeases(opened) }),
    async ping(signal) {
      signal.throwIfAborted();
      try {
        await opened.db.command({ ping: 1 }, { signal });
      } catch (error) {
        signal.throwIfAborted();
        throw mongodbError(error, "ping", opened.label);
      }
    },
    close: () => closeClient(client),
  };
}
