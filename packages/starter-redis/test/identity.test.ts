import { startService, type TestService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { calm, errorOf, openAt, readAll, writeAll } from "./opening.ts";

describeWithService("redis", "identity", () => {
  let server: TestService;
  let client: Redis;
  beforeAll(async () => {
    server = await startService("redis", { exclusive: true });
    client = new Redis(server.url);
  });
  afterAll(async () => {
    await client.quit();
    await server.stop();
  });
  beforeEach(() => client.flushall());

  const identityOf = async (query: string, role: "source" | "target" = "source", host = "127.0.0.1") => {
    const service = await openAt(`redis://${host}:${new URL(server.url).port}${query}`, role);
    const identity = await service.identity!(calm());
    await service.close();
    return identity;
  };

  it("is the same however the keys are reached, and another for other keys", async () => {
    const { thing } = await identityOf("/0?prefix=a:");
    expect(thing).toContain("a:");
    expect((await identityOf("/0?prefix=a:&format=hash", "target", "localhost")).thing).toBe(thing);
    expect((await identityOf("/1?prefix=a:")).thing).not.toBe(thing);
    expect((await identityOf("/0?prefix=a:b:")).thing).not.toBe(thing);
  });

  it("is that of the primary for a replica of it", async () => {
    const replica = await startService("redis", { exclusive: true });
    const control = new Redis(replica.url);
    await control.call("replicaof", "127.0.0.1", new URL(server.url).port);
    while (!(await control.info("replication")).includes("master_link_status:up")) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const copy = await openAt(`${replica.url}?prefix=a:&marker=m`, "source");
    const { thing, incarnation } = await copy.identity!(calm());
    expect(thing).toBe((await identityOf("/0?prefix=a:")).thing);
    // It cannot be marked, and has the marker that its primary got.
    expect(incarnation).toBeUndefined();
    await copy.close();
    await control.quit();
    await replica.stop();
  });

  it("has no incarnation without a marker, and nothing is set then", async () => {
    expect((await identityOf("/0?prefix=a:", "target")).incarnation).toBeUndefined();
    expect(await client.dbsize()).toBe(0);
  });

  it("has with a marker one that stays through writes, and not through a flush", async () => {
    for (const prefix of ["a:", ""]) {
      await client.flushall();
      const query = `/0?prefix=${prefix}&marker=p2p-marker`;
      const { incarnation, certain } = await identityOf(query, "target");
      expect(incarnation).toMatch(/^marker /);
      expect(certain).toBeUndefined();
      const service = await openAt(server.url + query);
      await writeAll(service, [{ id: "1" }]);
      expect((await identityOf(query)).incarnation).toBe(incarnation);
      // The marker is no record.
      expect((await readAll(service)).records).toEqual([{ id: "1" }]);
      expect((await readAll(service, { where: { id: "p2p-marker" } })).records).toEqual([]);
      expect(await service.count({}, calm())).toBe(1);
      await client.flushall();
      expect((await identityOf(query)).incarnation).not.toBe(incarnation);
      const onMarker = await service.writeToTarget([{ id: "p2p-marker" }, { id: "2" }], {
        mode: "upsert",
        signal: calm(),
      });
      expect(onMarker.failures.map(({ error }) => error.code)).toEqual(prefix === "" ? ["INVALID_RECORD"] : []);
      await service.close();
    }
    expect((await errorOf(openAt(`${server.url}/0?marker=`))).code).toBe("INVALID_ENDPOINT");
  });

  it("says so where keys vanish by themselves", async () => {
    expect((await identityOf("/0?prefix=a:")).volatile).toBeUndefined();
    expect((await identityOf("/0?prefix=a:&ttl=60", "target")).volatile).toBe(true);
    expect((await identityOf("/0?prefix=a:&ttlField=expires")).volatile).toBe(true);
    expect((await identityOf("/0?prefix=a:&format=dump")).volatile).toBeUndefined();
    await client.set("a:1", "{}", "EX", 1000);
    expect((await identityOf("/0?prefix=a:")).volatile).toBe(true);
    await client.del("a:1");
    await client.config("SET", "maxmemory", "100mb");
    await client.config("SET", "maxmemory-policy", "allkeys-lru");
    expect((await identityOf("/0?prefix=a:")).volatile).toBe(true);
    await client.config("SET", "maxmemory-policy", "noeviction");
    expect((await identityOf("/0?prefix=a:")).volatile).toBeUndefined();
    await client.config("SET", "maxmemory", "0");
  });

  const LEASE = { name: "search", run: "a", owner: "me", holder: "process 1", ttlMs: 60_000, renew: false };

  it("has leases beside the records of every prefix, the empty one too", async () => {
    const prefixed = await openAt(`${server.url}?prefix=a:`, "target");
    expect(await prefixed.leases!.take(LEASE, calm())).toEqual({ held: true });
    expect(await client.keys("*")).toEqual(["_p2p:leases"]);
    expect(await client.pttl("_p2p:leases")).toBeGreaterThan(50_000);
    for (const prefix of ["", "_p2p:"]) {
      const whole = await openAt(`${server.url}?prefix=${prefix}`, "target");
      const id = "_p2p:leases".slice(prefix.length);
      expect(await whole.count({}, calm())).toBe(0);
      expect((await readAll(whole)).records).toEqual([]);
      expect(await whole.count({ where: { id } }, calm())).toBe(0);
      expect(await whole.lookUp!([{ id }], {}, { signal: calm() })).toEqual([{ state: "absent" }]);
      expect(await whole.deleteFromTarget!([{ id }], { signal: calm() })).toMatchObject({ deleted: 0, absent: 1 });
      const { failures } = await whole.writeToTarget([{ id }], { mode: "upsert", signal: calm() });
      expect(failures).toMatchObject([{ error: { code: "INVALID_RECORD" } }]);
      await whole.close();
    }
    expect(await prefixed.leases!.take({ ...LEASE, renew: true }, calm())).toEqual({ held: true });
    await prefixed.close();
  });

  it("tells that a user may not keep leases, and goes on being of use", async () => {
    await client.call("ACL", "SETUSER", "narrow", "on", ">secret", "~a:*", "+@all");
    const { port } = new URL(server.url);
    const narrow = await openAt(`redis://narrow:secret@127.0.0.1:${port}?prefix=a:`, "target");
    expect(await errorOf(narrow.leases!.take(LEASE, calm()))).toMatchObject({ retryable: false });
    await writeAll(narrow, [{ id: "x" }]);
    expect(await client.keys("*")).toEqual(["a:x"]);
    await narrow.close();
    await client.call("ACL", "DELUSER", "narrow");
  });
});
