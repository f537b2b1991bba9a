import { DatabaseSync } from "node:sqlite";
import { withCalls } from "@omni/p2p-chaos/wrapped-stores";
import type { MirrorOptions, MirrorResult, P2PError, P2PQuery, P2PRecord } from "@omni/p2p-core";
import { Places, type ServerUrls, STORES, type Store } from "@omni/p2p-matrix/stores";
import { startService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { Client, escapeIdentifier } from "pg";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { newManager, openStore, wrappingManager } from "../src/stores.ts";

const signal = new AbortController().signal;

async function put(place: string, records: readonly P2PRecord[]): Promise<void> {
  const store = await openStore(place);
  const { written } = await store.writeToTarget(records, { mode: "upsert", signal });
  await store.close();
  expect(written).toBe(records.length);
}

/** The records of a place by the text of their ids. */
async function contentOf(place: string): Promise<P2PRecord[]> {
  const store = await openStore(place, "source");
  const records: P2PRecord[] = [];
  for await (const batch of store.readFromSource({}, { batchSize: 100, signal })) records.push(...batch.records);
  await store.close();
  return records.sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
}

const OPTIONS: MirrorOptions = { deletes: "remove", deadLetters: false, maxFailures: "all", maxRetries: 0 };

async function mirror(source: string, target: string, query: P2PQuery = {}): Promise<MirrorResult> {
  await using manager = newManager();
  const { connectionId } = await manager.establish(source, target);
  return await manager.mirrorThroughConnection(connectionId, query, OPTIONS);
}

async function differences(source: string, target: string): Promise<readonly unknown[]> {
  await using manager = newManager();
  const { connectionId } = await manager.establish(source, target);
  return (await manager.verify(connectionId, {})).differences;
}

/** Ids that are one text in two types. */
const TWO_TYPES: readonly (readonly [P2PRecord["id"], P2PRecord["id"]])[] = [
  [1, "1"],
  [2n, "2"],
  [3n, 3],
  [true, "true"],
  [new Date(0), new Date(0).toISOString()],
  [new Uint8Array([171, 205]), "abcd"],
];

function badInput(servers: ServerUrls): void {
  const places = new Places(servers);
  afterAll(() => places.dispose());

  describe.each(STORES.map((store) => ({ store })))("into $store", ({ store }) => {
    it.each([0, 1])("brings ids that are one text in two types into the form of the source (%i)", async (ours) => {
      const [source, target] = [places.fresh("memory"), places.fresh(store)];
      await put(source, [...TWO_TYPES.map((ids) => ({ id: ids[ours]!, v: 1 })), { id: "other" }]);
      await put(target, [...TWO_TYPES.map((ids) => ({ id: ids[1 - ours]!, v: 1 })), { id: "other" }]);
      expect(await mirror(source, target)).toMatchObject({ failureCount: 0, deletedCount: 0 });
      expect(await differences(source, target)).toEqual([]);
      expect(await contentOf(target)).toHaveLength(TWO_TYPES.length + 1);
      expect(await mirror(source, target)).toMatchObject({ successCount: 0, deletedCount: 0 });
    });

    it("leaves other data alone that the target holds beside the query's", async () => {
      const [source, target] = [places.fresh("memory"), places.fresh(store)];
      const theirs = { id: "theirs", type: "log", v: 1 };
      await put(source, [
        { id: "a", type: "note" },
        { id: "b", type: "log", v: 2 },
      ]);
      await put(target, [theirs, { id: "old", type: "note" }]);
      expect(await mirror(source, target, { type: "note" })).toMatchObject({ successCount: 1, deletedCount: 1 });
      expect(await contentOf(target)).toEqual([{ id: "a", type: "note" }, theirs]);
    });

    it("leaves what a writer of the target's own changes right before the delete", async () => {
      const [source, target] = [places.fresh("memory"), places.fresh(store)];
      await put(source, [{ id: "a" }]);
      await put(target, [{ id: "a" }, { id: "extra", v: 1 }, { id: "gone", v: 1 }]);
      const manager = await wrappingManager([store], (service) =>
        withCalls(service, {
          async deleteFromTarget(refs, options) {
            await put(target, [{ id: "extra", v: "mine" }]);
            return service.deleteFromTarget!(refs, options);
          },
        }),
      );
      try {
        const { connectionId } = await manager.establish(source, target);
        const result = await manager.mirrorThroughConnection(connectionId, {}, OPTIONS);
        expect(result).toMatchObject({ deletedCount: 1, keptCount: 1, failureCount: 0 });
      } finally {
        await manager.close();
      }
      expect(await contentOf(target)).toEqual([{ id: "a" }, { id: "extra", v: "mine" }]);
    });
  });

  it("refuses ids that are one text in two types in the source, which MongoDB keeps apart", async () => {
    const [source, target] = [places.fresh("mongodb"), places.fresh("sqlite")];
    const both = [
      { id: 1, v: 1 },
      { id: "1", v: 2 },
    ];
    await put(source, [...both, { id: "other" }]);
    await put(target, [{ id: "extra" }]);
    await expect(mirror(source, target)).rejects.toMatchObject({ code: "AMBIGUOUS_ID" });
    expect(await contentOf(target)).toEqual([{ id: "extra" }]);
  });

  /** What makes a store refuse deletes: gives the place for who may not delete. */
  const refusing: Partial<Record<Store, (place: string) => Promise<string>>> = {
    async sqlite(place) {
      const database = new DatabaseSync(place.slice("sqlite:".length).split("?")[0]!);
      database.exec("CREATE TRIGGER no_delete BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'not here'); END");
      database.close();
      return place;
    },
    async redis(place) {
      const redis = new Redis(servers.redis!);
      await redis.call("ACL", "SETUSER", "no-delete", "on", ">word", "~*", "+@all", "-del", "-unlink");
      redis.disconnect();
      const url = Object.assign(new URL(place), { username: "no-delete", password: "word" });
      return url.href;
    },
    async elasticsearch(place) {
      const at = place.replace(/^elasticsearch\+/, "");
      const headers = { "content-type": "application/json" };
      await fetch(`${at}/_settings`, { method: "PUT", headers, body: '{"index.blocks.write":true}' });
      return place;
    },
    async postgresql(place) {
      const url = new URL(place);
      const client = new Client(servers.postgresql!);
      await client.connect();
      const table = escapeIdentifier(url.searchParams.get("table")!);
      await client.query("CREATE ROLE no_delete LOGIN PASSWORD 'word'");
      await client.query(`GRANT SELECT, INSERT, UPDATE ON ${table} TO no_delete`);
      await client.end();
      return Object.assign(url, { username: "no_delete", password: "word" }).href;
    },
  };

  afterAll(async () => {
    const redis = new Redis(servers.redis!);
    await redis.call("ACL", "DELUSER", "no-delete");
    redis.disconnect();
    const client = new Client(servers.postgresql!);
    await client.connect();
    await client.query("DROP OWNED BY no_delete");
    await client.query("DROP ROLE no_delete");
    await client.end();
  });

  it.each(Object.entries(refusing))("tells that %s refuses deletes, and leaves the record", async (store, refuse) => {
    const [source, target] = [places.fresh("memory"), places.fresh(store as Store)];
    await put(source, [
      { id: "a", v: 1 },
      { id: "b", v: 2 },
    ]);
    await put(target, [
      { id: "a", v: 1 },
      { id: "extra", v: 3 },
    ]);
    const asked = await refuse(target);
    const outcome = await mirror(source, asked).catch((error: P2PError) => error);
    const codes = outcome instanceof Error ? [outcome.code] : outcome.errors.map(({ code }) => code);
    expect(["TARGET_NOT_WRITABLE", "WRITE_FAILED"]).toContain(codes.at(-1));
    const ids = (await contentOf(target)).map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining(["a", "extra"]));
  });

  it("refuses a replica of Redis, and a PostgreSQL that is read-only, before anything is read", async () => {
    const replica = await startService("redis", { exclusive: true });
    onTestFinished(() => replica.stop());
    const { hostname, port } = new URL(servers.redis!);
    const redis = new Redis(replica.url);
    await redis.call("REPLICAOF", hostname, port);
    redis.disconnect();
    const standby = new URL(places.fresh("postgresql"));
    standby.searchParams.set("options", "-c default_transaction_read_only=on");
    const source = places.fresh("memory");
    await put(source, [{ id: "a", v: 1 }]);
    let read = 0;
    await using manager = await wrappingManager(["memory"], (service) =>
      withCalls(service, {
        readFromSource(query, options) {
          read++;
          return service.readFromSource(query, options);
        },
      }),
    );
    for (const target of [`${replica.url}?prefix=none:`, standby.href]) {
      const mirroring = manager
        .establish(source, target)
        .then(({ connectionId }) => manager.mirrorThroughConnection(connectionId, {}, OPTIONS));
      await expect(mirroring).rejects.toMatchObject({
        code: "TARGET_NOT_WRITABLE",
        message: expect.stringMatching(/give the address of its primary|name the primary/),
      });
    }
    expect(read).toBe(0);
  });
}

describeWithService("redis", "a mirror that is given bad input", (redis) => {
  describeWithService("mongodb", "with MongoDB", (mongodb) => {
    describeWithService("elasticsearch", "with Elasticsearch", (elasticsearch) => {
      describeWithService("postgresql", "with PostgreSQL", (postgresql) => {
        const urls = { mongodb: mongodb.url, elasticsearch: elasticsearch.url, postgresql: postgresql.url };
        badInput({ redis: redis.url, ...urls });
      });
    });
  });
});
