import type { EndpointInfo } from "@omni/p2p-core/starter";
import { startProxy, startService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, test } from "vitest";
import { mongodbStarter } from "../src/index.ts";
import { calm, endpointFor, open, readAll, rejection, scratchCollections } from "./scratch.ts";

const SECRET = "s3cr3t-planted";

describeWithService("mongodb", "opening", (service) => {
  const { createEndpoint, database, client } = scratchCollections(service.url, "connecting");
  const at = (name: string, options: Record<string, unknown> = {}) => endpointFor(service.url, name, options);

  test("a wrong password is AUTHENTICATION_FAILED, and is not told", async () => {
    const error = await rejection(open(at(database, { username: "nobody", password: SECRET, collection: "x" })));
    expect(error.code).toBe("AUTHENTICATION_FAILED");
    expect(`${error.message}\n${error.stack}\n${String(error.cause)}`).not.toContain(SECRET);
  });

  test("a server without TLS is CONNECTION_FAILED or TIMEOUT when TLS is asked for", async () => {
    const startedAt = performance.now();
    const error = await rejection(open(at(database, { tls: true, collection: "x" }), "source", 3000));
    expect(["CONNECTION_FAILED", "TIMEOUT"]).toContain(error.code);
    expect(performance.now() - startedAt).toBeLessThan(4500);
  });

  test("a host that does not exist is CONNECTION_FAILED at once", async () => {
    const startedAt = performance.now();
    const endpoint: EndpointInfo = { ...at(database, { collection: "x" }), host: "no-such-host.invalid" };
    const error = await rejection(open(endpoint, "target", 20_000));
    expect(error.code).toBe("CONNECTION_FAILED");
    expect(error.message).toContain("no-such-host.invalid");
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  test("a missing collection is SOURCE_NOT_FOUND, also when it goes missing later", async () => {
    expect((await rejection(open(at(database, { collection: "nothing" })))).code).toBe("SOURCE_NOT_FOUND");
    const { endpoint, collection } = await createEndpoint();
    await collection.insertOne({ n: 1 });
    const source = await open(endpoint);
    await collection.drop();
    expect((await rejection(readAll(source))).code).toBe("SOURCE_NOT_FOUND");
    expect((await rejection(source.count({}, calm))).code).toBe("SOURCE_NOT_FOUND");
    expect((await rejection(source.partitions({}, 2, calm))).code).toBe("SOURCE_NOT_FOUND");
    await source.close();
  });

  test("a collection that is empty is no error", async () => {
    const { endpoint, collection } = await createEndpoint();
    await client.db(database).createCollection(collection.collectionName);
    const source = await open(endpoint);
    expect(await readAll(source)).toEqual([]);
    expect(await source.count({}, calm)).toBe(0);
    expect(await source.partitions({}, 2, calm)).toHaveLength(1);
    await source.close();
  });

  test("without a collection a source takes the only one, and a target the default", async () => {
    const other = client.db(`${database}-2`);
    try {
      expect((await rejection(open(at(other.databaseName)))).code).toBe("SOURCE_NOT_FOUND");
      const target = await open(at(other.databaseName), "target");
      await target.writeToTarget([{ id: 1 }], { mode: "insert", signal: calm });
      await target.close();
      const source = await open(at(other.databaseName));
      expect(await readAll(source)).toEqual([{ id: 1 }]);
      await source.close();
      await other.collection("extra").insertOne({});
      const error = await rejection(open(at(other.databaseName)));
      expect(error.code).toBe("INVALID_ENDPOINT");
      expect(error.message).toContain("extra, records");
    } finally {
      await other.dropDatabase();
    }
  });

  test("options that are wrong are refused before anything is opened", async () => {
    const messageOf = async (options: Record<string, unknown>) => {
      const error = await rejection(open(at(database, options)));
      expect(error.code).toBe("INVALID_ENDPOINT");
      return error.message;
    };
    expect(await messageOf({ replicaset: "rs0" })).toContain('did you mean "replicaSet"?');
    expect(await messageOf({ readPreference: "fastest" })).toContain("must be one of");
    expect(await messageOf({ password: SECRET })).toContain("no username");
    expect(await messageOf({ collection: "system.users" })).toContain("name of a collection");
    expect(await messageOf({ tls: true, tlsInsecure: true, tlsAllowInvalidCertificates: true })).toContain("tls");
    expect(await messageOf({ protocol: "srv" })).toContain("port");
  });

  test("options of the connection string reach the driver", async () => {
    const { endpoint, collection } = await createEndpoint();
    await collection.insertOne({ _id: 1 as never });
    const metadata = {
      ...endpoint.metadata,
      w: "majority",
      journal: "true",
      readPreference: "nearest",
      appName: "test",
    };
    const target = await open({ ...endpoint, metadata }, "target");
    expect(await readAll(target)).toEqual([{ id: 1 }]);
    await target.close();
  });

  test("inspect looks at one database or at all of them", async () => {
    const { endpoint, collection } = await createEndpoint();
    await collection.insertMany([{}, {}]);
    const context = { role: "source", signal: calm, connectTimeoutMs: 10_000 } as const;
    const { database: _, ...anywhere } = endpoint;
    for (const place of [endpoint, { ...anywhere, metadata: {} }]) {
      const { product, collections } = await mongodbStarter.inspect!(place, context);
      expect(product).toMatch(/^(?:MongoDB|FerretDB) \S/);
      expect(collections).toContainEqual({
        // Of a whole server the names alone would not tell them apart.
        name: place === endpoint ? collection.collectionName : `${database}.${collection.collectionName}`,
        records: 2,
        endpoint: { database, metadata: { collection: collection.collectionName } },
      });
    }
  });
});

describeWithService("mongodb", "a server that goes away", () => {
  test("is told by ping and by errors that say so, and found again when it is back", async () => {
    const server = await startService("mongodb", { exclusive: true, log: () => {} });
    try {
      const endpoint = endpointFor(server.url, "restarted", { collection: "docs" });
      const target = await open(endpoint, "target", 2000);
      const records = Array.from({ length: 1000 }, (_, id) => ({ id }));
      await target.writeToTarget(records, { mode: "insert", signal: calm });
      const reading = target.readFromSource({}, { batchSize: 100, signal: calm })[Symbol.asyncIterator]();
      const first = (await reading.next()).value!;
      await target.ping(calm);

      await server.restart!(async () => {
        const works = [
          () => target.ping(calm),
          // The server's second answer came before it went.
          () => reading.next().then(() => reading.next()),
          () => target.count({}, calm),
          () => target.writeToTarget(records, { mode: "upsert", signal: calm }),
        ];
        for (const work of works) {
          const error = await rejection(work());
          expect([error.code, error.retryable]).toEqual(["CONNECTION_LOST", true]);
        }
      });

      await target.ping(calm);
      const rest = await readAll(target, {}, { after: first.cursor });
      expect(rest.map(({ id }) => id)).toEqual(records.slice(100).map(({ id }) => id));
      const { written } = await target.writeToTarget(records, { mode: "upsert", signal: calm });
      expect(written).toBe(1000);
      await target.close();
    } finally {
      await server.stop();
    }
  });
});

describeWithService("mongodb", "a connection that is disturbed", (service) => {
  const { createEndpoint } = scratchCollections(service.url, "disturbed");

  async function through(records: number) {
    const place = await createEndpoint();
    if (records > 0)
      await place.collection.insertMany(Array.from({ length: records }, (_, i) => ({ _id: i as never })));
    const proxy = await startProxy(service.url);
    const metadata = { ...place.endpoint.metadata, heartbeatFrequencyMS: 500 };
    const service_ = await open({ ...place.endpoint, host: "127.0.0.1", port: proxy.port, metadata }, "target", 2000);
    return { ...place, proxy, service: service_ };
  }

  test("a cursor that the server has forgotten is replaced after the last record", async () => {
    const { proxy, service: source, collection } = await through(1000);
    await using _ = proxy;
    const cursors = new Set<bigint>();
    proxy.onServerData = (data) => {
      // The id of a cursor in an answer: a 64-bit integer called "id".
      for (let at = data.indexOf("\x12id\0"); at >= 0; at = data.indexOf("\x12id\0", at + 1)) {
        const id = data.readBigInt64LE(at + 4);
        if (id !== 0n) cursors.add(id);
      }
    };
    const read: unknown[] = [];
    let killed = 0;
    for await (const { records } of source.readFromSource({}, { batchSize: 100, signal: calm })) {
      read.push(...records.map(({ id }) => id));
      if (read.length % 300 !== 0) continue;
      await collection.db.command({ killCursors: collection.collectionName, cursors: [...cursors] });
      killed += cursors.size;
      cursors.clear();
    }
    expect(killed).toBeGreaterThan(1);
    expect(read).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    await source.close();
  });

  test("connections that are reset in the middle are CONNECTION_LOST", async () => {
    const { proxy, service: source } = await through(1000);
    await using _ = proxy;
    const reading = source.readFromSource({}, { batchSize: 100, signal: calm })[Symbol.asyncIterator]();
    await reading.next();
    proxy.cut();
    const error = await rejection(reading.next());
    expect([error.code, error.retryable]).toEqual(["CONNECTION_LOST", true]);
    await source.close();
  });

  test("a server that falls silent is noticed by its missing heartbeat, and a signal ends the wait", async () => {
    const { proxy, service: target } = await through(1000);
    await using _ = proxy;
    const reading = target.readFromSource({}, { batchSize: 100, signal: calm })[Symbol.asyncIterator]();
    await reading.next();
    proxy.stall();
    const controller = new AbortController();
    const writing = target.writeToTarget([{ id: "x" }], { mode: "upsert", signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 100);
    expect((await rejection(writing)).message).toBe("enough");
    const error = await rejection(reading.next());
    expect([error.code, error.retryable]).toEqual(["CONNECTION_LOST", true]);
    const startedAt = performance.now();
    await target.close();
    expect(performance.now() - startedAt).toBeLessThan(3000);
  });
});
