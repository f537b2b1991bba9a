import {
  idKey,
  type JsonValue,
  type P2PDataTransferService,
  P2PError,
  type P2PRecord,
  recordDigest,
} from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { describeConformance } from "@omni/p2p-testkit";
import { Cluster, type Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keySlot, partedSlots } from "../src/client/slots.ts";
import { redisStarter } from "../src/index.ts";
import { byId, calm, errorOf, openAt, readAll, writeAll } from "./opening.ts";
import { findServerProgram, type OwnServer, plainSettings, startOwnServer, until } from "./redis-server.ts";
import { closedPort } from "./tcp.ts";

describeWithService("redis", "Redis Cluster", async () => {
  const program = await findServerProgram();
  if (program === undefined) {
    console.info("skipped Redis Cluster: there is no redis-server that the test could start");
    it.skip("there is no redis-server that the test could start", () => {});
    return;
  }
  const nodes: OwnServer[] = [];
  const busPorts: number[] = [];
  let url: string;
  let client: Cluster;

  beforeAll(async () => {
    for (let i = 0; i < 3; i++) {
      const busPort = await closedPort();
      busPorts.push(busPort);
      const cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", String(busPort)];
      nodes.push(await startOwnServer(program, (port, folder) => [...plainSettings(port, folder), ...cluster]));
    }
    const slots = partedSlots(3);
    for (const [i, node] of nodes.entries()) {
      await node.client.call("cluster", "addslotsrange", ...slots[i]!);
      await node.client.call("cluster", "set-config-epoch", i + 1);
      if (i > 0) await node.client.call("cluster", "meet", "127.0.0.1", nodes[0]!.port, busPorts[0]!);
    }
    for (const node of nodes) {
      await until("a cluster", async () => /cluster_state:ok/.test(String(await node.client.call("cluster", "info"))));
      await until("all nodes", async () => /nodes:3/.test(String(await node.client.call("cluster", "info"))));
    }
    url = `redis://127.0.0.1:${nodes[0]!.port},127.0.0.1:${nodes[1]!.port}/?cluster=true`;
    client = new Cluster([{ host: "127.0.0.1", port: nodes[0]!.port }]);
    client.on("error", () => {});
  });
  afterAll(async () => {
    client.disconnect();
    for (const node of nodes) await node.stop();
  });

  const forget = async (prefix: string) => {
    for (const node of client.nodes("master")) {
      for (const key of await node.keys(`${prefix}*`)) await client.unlink(key);
    }
  };

  describe("as any endpoint", () => {
    let places = 0;
    describeConformance({
      name: "redis cluster",
      starter: redisStarter,
      numRuns: 3,
      createEndpoint: async () => {
        const prefix = `place${places++}:`;
        return {
          endpoint: `${url}&prefix=${prefix}&marker=${prefix}marker`,
          breakRecord: async (id) =>
            void (await client.set(prefix + idKey(id), '{"a":{"$p2p":"date","value":"never"}}')),
          dispose: () => forget(prefix),
        };
      },
      lacks: [{ what: "missing sources", reason: "Redis has keys and nothing that holds them, so nothing is missing" }],
    });
  });

  it("hash slots are those of the server", async () => {
    const keys = ["", "a", "123456789", "{user}:1", "a{b}c", "{}x", "a{}b{c}", "{{x}}", "é{ü}", "x}y{z"];
    for (const key of keys) {
      expect(keySlot(Buffer.from(key)), key).toBe(await nodes[0]!.client.call("cluster", "keyslot", key));
    }
  });

  it("one node without cluster=true is refused, with the way out", async () => {
    const error = await errorOf(openAt(`redis://127.0.0.1:${nodes[0]!.port}`));
    expect(error.code).toBe("INVALID_ENDPOINT");
    expect(error.message).toContain("cluster=true");
  });

  it("records as hashes, in every mode", async () => {
    const service = await openAt(`${url}&prefix=hash:&format=hash&ttl=1000`);
    const records = Array.from({ length: 300 }, (_, i) => ({ id: i, n: BigInt(i), when: new Date(i), list: [i] }));
    await writeAll(service, records);
    expect(byId((await readAll(service)).records)).toEqual(byId(records));
    const signal = calm();
    const more = [...records.slice(0, 5), { id: "new", n: 1 }];
    expect(await service.writeToTarget(more, { mode: "skip", signal })).toMatchObject({ written: 1, skipped: 5 });
    expect((await service.writeToTarget(more, { mode: "insert", signal })).failures).toHaveLength(6);
    expect(await client.pttl("hash:7")).toBeGreaterThan(990_000);
    await service.close();
  });

  it("dumps, times to live and foreign types work over all nodes", async () => {
    for (let i = 0; i < 50; i++) await client.rpush(`mix:list${i}`, "a", String(i));
    for (let i = 0; i < 50; i++) await client.set(`mix:text${i}`, "x", "PX", 100_000);
    const source = await openAt(`${url}&prefix=mix:&ttlField=expires`, "source");
    const found = byId((await readAll(source)).records);
    expect(Object.keys(found)).toHaveLength(100);
    expect(found.list7).toEqual({ id: "list7", type: "list", value: ["a", "7"] });
    expect(found.text7!.expires).toBeInstanceOf(Date);
    await source.close();
    const dumps = await openAt(`${url}&prefix=mix:&format=dump`, "source");
    const target = await openAt(`${url}&prefix=copy:&format=dump`);
    await writeAll(target, (await readAll(dumps)).records);
    expect(await client.lrange("copy:list7", 0, -1)).toEqual(["a", "7"]);
    expect(await client.pexpiretime("copy:text7")).toBe(await client.pexpiretime("mix:text7"));
    await dumps.close();
    await target.close();
  });

  describe("while slots move", () => {
    const COUNT = 2000;
    let service: P2PDataTransferService;
    beforeAll(async () => {
      service = await openAt(`${url}&prefix=move:&maxSortedKeys=10&scanCount=100`);
      const records = Array.from({ length: COUNT }, (_, i) => ({ id: `r${i}`, n: i }));
      for (let i = 0; i < COUNT; i += 500) await writeAll(service, records.slice(i, i + 500));
    });
    afterAll(() => service.close());

    it("no record is lost, and cursors stay good", async () => {
      const found = new Map<unknown, P2PRecord>();
      let batches = 0;
      let [from, to] = [nodes[2]!, nodes[0]!];
      for await (const batch of service.readFromSource({}, { batchSize: 100, signal: calm() })) {
        for (const record of batch.records) found.set(record.id, record);
        // From one that is still to be read to one that is being read, and back again later.
        if (++batches === 3 || batches === 12) {
          for (let slot = 16_000; slot < 16_384; slot++) await moveSlot(slot, from, to, nodes);
          [from, to] = [to, from];
        }
      }
      expect(found.size).toBe(COUNT);
    });

    it("a transfer resumed after the move loses none either", async () => {
      const found = new Map<unknown, P2PRecord>();
      let after: Awaited<ReturnType<typeof firstBatch>>["cursor"] | undefined;
      for (let round = 0; round < 200; round++) {
        const batch = await firstBatch(service, after);
        if (batch.records.length === 0) break;
        for (const record of batch.records) found.set(record.id, record);
        after = JSON.parse(JSON.stringify(batch.cursor)) as typeof after;
        if (round === 2) for (let slot = 0; slot < 200; slot++) await moveSlot(slot, nodes[0]!, nodes[1]!, nodes);
        if (round === 9) for (let slot = 0; slot < 200; slot++) await moveSlot(slot, nodes[1]!, nodes[0]!, nodes);
      }
      expect(found.size).toBe(COUNT);
    });

    it("look-ups and deletes find what has moved, and what is half way", async () => {
      const service = await openAt(`${url}&prefix={half}`);
      const records = Array.from({ length: 60 }, (_, n) => ({ id: n, n }));
      await writeAll(service, records);
      const slot = keySlot(Buffer.from("{half}"));
      const owner = partedSlots(3).findIndex(([from, to]) => slot >= from && slot <= to);
      const [from, to] = [nodes[owner]!, nodes[(owner + 1) % 3]!];
      await to.client.call("cluster", "setslot", slot, "importing", await idOf(from.client));
      await from.client.call("cluster", "setslot", slot, "migrating", await idOf(to.client));
      const half = records.slice(0, 30).map(({ id }) => `{half}${id}`);
      await from.client.call("migrate", "127.0.0.1", to.port, "", 0, 5000, "KEYS", ...half);
      const refs = records.map((record) => ({ id: record.id, expected: recordDigest(record) }));
      const look = async () => (await service.lookUp!(refs, {}, { signal: calm() })).map(({ state }) => state);
      expect(new Set(await look())).toEqual(new Set(["wanted"]));
      const some = refs.filter((_, n) => n % 3 === 0).map(({ id }) => ({ id }));
      expect(await service.deleteFromTarget!(some, { signal: calm() })).toMatchObject({ deleted: 20, failures: [] });
      expect(await service.deleteFromTarget!(refs, { signal: calm() })).toEqual({
        deleted: 40,
        absent: 20,
        changed: [],
        failures: [],
      });
      expect(new Set(await look())).toEqual(new Set(["absent"]));
      await moveSlot(slot, from, to, nodes);
      await writeAll(service, records);
      expect(new Set(await look())).toEqual(new Set(["wanted"]));
      await moveSlot(slot, to, from, nodes);
      expect(await service.deleteFromTarget!(refs, { signal: calm() })).toMatchObject({ deleted: 60 });
      await service.close();
    });
  });

  it("tells of changes on all nodes, also while a slot moves", async () => {
    const service = await openAt(`${url}&prefix=follow:`, "source");
    const { changes } = service;
    const heard = new Set<unknown>();
    const listen = async (after: JsonValue, until: () => boolean) => {
      const options = { follower: "f", after, maxWaitMs: 100, signal: AbortSignal.timeout(10_000) };
      for await (const { refs, cursor } of changes!.read(options)) {
        for (const { id } of refs) heard.add(id);
        if (until()) return cursor;
      }
      throw new Error("it ended");
    };
    const start = await changes!.now("f", calm());
    const ids = Array.from({ length: 60 }, (_, i) => `r${i}`);
    for (const id of ids) await client.set(`follow:${id}`, 1);
    const after = await listen(start, () => heard.size === ids.length);
    const slot = keySlot(Buffer.from("follow:r7"));
    const owner = partedSlots(3).findIndex(([from, to]) => slot >= from && slot <= to);
    const [from, to] = [nodes[owner]!, nodes[(owner + 1) % 3]!];
    await moveSlot(slot, from, to, nodes);
    heard.clear();
    await client.set("follow:r7", 2);
    await listen(after, () => heard.has("r7"));
    await moveSlot(slot, to, from, nodes);
    await service.close();
  });

  it("a node that is lost: an error worth trying again, in limited time", async () => {
    const service = await openAt(`${url}&prefix=lost:`, "target", {}, 1000);
    const records = Array.from({ length: 100 }, (_, i) => ({ id: `r${i}` }));
    await writeAll(service, records);
    const position = await service.changes!.now("f", calm());
    await nodes[1]!.kill();
    const following = service.changes!.read({ follower: "f", after: position, maxWaitMs: 50, signal: calm() });
    const told = await errorOf(
      (async () => {
        for await (const { cursor } of following) void cursor;
      })(),
    );
    expect(told.code).toBe("CHANGES_LOST");
    const started = performance.now();
    const outcome = await service.writeToTarget(records, { mode: "upsert", signal: calm() }).catch((error) => error);
    const errors =
      outcome instanceof P2PError ? [outcome] : outcome.failures.map((failure: { error: P2PError }) => failure.error);
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) {
      expect(["CONNECTION_LOST", "BUSY"]).toContain(error.code);
      expect(error.retryable).toBe(true);
    }
    expect(performance.now() - started).toBeLessThan(5000);
    const read = await errorOf(readAll(service));
    expect(["CONNECTION_LOST", "BUSY"]).toContain(read.code);
    const look = await errorOf(service.lookUp!(records, {}, { signal: calm() }));
    expect(look).toMatchObject({ code: expect.stringMatching(/^(CONNECTION_LOST|BUSY)$/), retryable: true });
    const deleting = await service.deleteFromTarget!(records, { signal: calm() }).catch((error) => error);
    const refused =
      deleting instanceof P2PError
        ? [deleting]
        : deleting.failures.map((failure: { error: P2PError }) => failure.error);
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) expect(error.retryable).toBe(true);
    if (!(deleting instanceof P2PError)) expect(deleting.absent).toBe(0);
    await service.close();
  });
});

async function firstBatch(service: P2PDataTransferService, after: unknown) {
  const options = { batchSize: 100, after: after as never, signal: calm() };
  for await (const batch of service.readFromSource({}, options)) return batch;
  return { records: [], cursor: null };
}

/** Moves a slot with its keys as `redis-cli --cluster reshard` does. */
async function moveSlot(slot: number, from: OwnServer, to: OwnServer, all: readonly OwnServer[]): Promise<void> {
  const [fromId, toId] = [await idOf(from.client), await idOf(to.client)];
  await to.client.call("cluster", "setslot", slot, "importing", fromId);
  await from.client.call("cluster", "setslot", slot, "migrating", toId);
  for (;;) {
    const keys = (await from.client.call("cluster", "getkeysinslot", slot, 100)) as string[];
    if (keys.length === 0) break;
    await from.client.call("migrate", "127.0.0.1", to.port, "", 0, 5000, "KEYS", ...keys);
  }
  for (const node of [to, from, ...all]) await node.client.call("cluster", "setslot", slot, "node", toId);
}

async function idOf(client: Redis): Promise<string> {
  return (await client.call("cluster", "myid")) as string;
}
