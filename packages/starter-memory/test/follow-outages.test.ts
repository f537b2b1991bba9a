/** Follows whose ends go away, come back, are replaced, or are followed by another. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DefaultP2PConnectionManager, type FollowHandle, type FollowOptions, P2PError } from "@omni/p2p-core";
import { boundService } from "@omni/p2p-core/engine";
import type { P2PDataTransferService, P2PStarter } from "@omni/p2p-core/starter";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { dropMemoryStore, memoryStarter, memoryStore } from "../src/index.ts";

let folder: string;
let made = 0;
const managers: DefaultP2PConnectionManager[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "p2p-outages-"));
});
afterEach(async () => {
  for (const manager of managers.splice(0)) await manager.close();
});
afterAll(() => rm(folder, { recursive: true }));

/** What the stores of a pair do in place of what they should, as long as it is set. */
interface Faults {
  /** Every call to this end fails so. */
  from?: P2PError | undefined;
  to?: P2PError | undefined;
  count?: P2PError | undefined;
  identity?: P2PError | undefined;
  noLease?: boolean;
  /** A call of this kind to the source never comes back, whatever its signal says. */
  hangs?: "identity" | "lookUp" | undefined;
  /** Lets the lease wait, whatever its signal says. */
  holdLease?: Promise<void> | undefined;
  /** Lets a write to the target wait. */
  hold?: Promise<void> | undefined;
  opened: number;
}

function faulty(faults: Faults, source: string): P2PStarter {
  return {
    ...memoryStarter,
    async open(endpoint, context) {
      const side = endpoint.database === source || endpoint.host === source ? "from" : "to";
      const fail = () => {
        if (faults[side]) throw faults[side];
      };
      const hang = async (call: Faults["hangs"]) => {
        if (side === "from" && faults.hangs === call) await new Promise<never>(() => {});
      };
      fail();
      faults.opened++;
      const service = await memoryStarter.open(endpoint, context);
      const { leases, changes } = service;
      const faulted: P2PDataTransferService = {
        ...boundService(service),
        identity: async (signal) => {
          fail();
          await hang("identity");
          if (faults.identity) {
            const error = faults.identity;
            faults.identity = undefined;
            throw error;
          }
          return service.identity(signal);
        },
        count: async (query, signal) => {
          fail();
          if (faults.count) throw faults.count;
          return service.count(query, signal);
        },
        writeToTarget: async (records, options) => {
          fail();
          await faults.hold;
          fail();
          return service.writeToTarget(records, options);
        },
        lookUp: async (refs, query, options) => {
          fail();
          await hang("lookUp");
          return service.lookUp!(refs, query, options);
        },
        deleteFromTarget: async (refs, options) => {
          fail();
          return service.deleteFromTarget!(refs, options);
        },
        changes: {
          ...changes!,
          now: async (follower, signal) => {
            fail();
            return changes!.now(follower, signal);
          },
          async *read(options) {
            for await (const batch of changes!.read({ ...options, maxWaitMs: 10 })) {
              fail();
              yield batch;
            }
          },
        },
        leases: {
          take: async (request, signal) => {
            fail();
            const { holdLease } = faults;
            await holdLease;
            if (faults.noLease) throw new P2PError("LEASE_UNAVAILABLE", "The right is lacking");
            return leases!.take(request, holdLease ? new AbortController().signal : signal);
          },
          release: (request, signal) => leases!.release(request, signal),
        },
      };
      return faulted;
    },
  };
}

const LOST = new P2PError("CONNECTION_LOST", "The store is away", { retryable: true });

function pair(count = 10) {
  const names = { from: `outage-from-${++made}`, to: `outage-to-${made}` };
  const from = memoryStore(names.from);
  const to = memoryStore(names.to);
  for (let id = 0; id < count; id++) from.put({ id, n: 0 });
  const faults: Faults = { opened: 0 };
  const place = join(folder, String(made));
  const follow = async (options: FollowOptions = {}, host = "one") => {
    const manager = new DefaultP2PConnectionManager();
    managers.push(manager);
    manager.registerService("memory", faulty(faults, names.from));
    const connection = await manager.establish(`memory:${names.from}`, `memory:${names.to}`, {
      ...{ retryDelay: 5, maxRetryDelay: 20, reconnectTimeout: 100 },
    });
    const checkpoint = `${place}-${host}`;
    const handle = connection.follow(
      {},
      { checkpoint, transferId: `outage-${names.from}`, landsWithin: 50, ...options },
    );
    return { connection, handle, manager };
  };
  return { ...names, from, to, faults, follow };
}

async function once(handle: FollowHandle, name: "caughtUp" | "paused" | "lost" | "mirrored" | "change" | "lease") {
  await Promise.race([
    new Promise((resolve) => handle.events.once(name, resolve)),
    handle.done.then(() => {
      throw new Error(`stopped before ${name}`);
    }),
  ]);
}

function sorted(store: ReturnType<typeof memoryStore>) {
  return store.records().sort((a, b) => Number(a.id) - Number(b.id));
}

for (const side of ["from", "to"] as const) {
  test(`an end that is away for longer than reconnect_timeout pauses the follow, which goes on by itself: ${side}`, async () => {
    const pairing = pair();
    const { from, to, faults, follow } = pairing;
    const { handle, connection } = await follow();
    await once(handle, "caughtUp");
    const seen: string[] = [];
    handle.events.on("status", ({ to: status }) => seen.push(status));
    faults[side] = LOST;
    from.put({ id: 3, n: 1 });
    await once(handle, "paused");
    expect(handle).toMatchObject({ status: "paused", error: { code: "CONNECTION_LOST" } });
    expect(await connection.isHealthy()).toBe(false);
    from.put({ id: 4, n: 1 });
    from.delete(5);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(handle.status).toBe("paused");
    faults[side] = undefined;
    await vi.waitFor(() => expect(sorted(to)).toEqual(sorted(from)), 5000);
    await vi.waitFor(() => expect(handle).toMatchObject({ status: "live", error: undefined }), 5000);
    expect(seen[0]).toBe("paused");
    expect(await connection.isHealthy()).toBe(true);
    expect(connection.statistics().reconnect_count).toBeGreaterThan(0);
    expect((await handle.stop()).counts.mirrors).toBe(0);
  });
}

test("an end that is away while everything is copied pauses the follow, and the copy goes on", async () => {
  const { from, to, faults, follow } = pair(500);
  const { handle } = await follow({ batchSize: 10, concurrency: 1 } as FollowOptions);
  await vi.waitFor(() => expect(to.size).toBeGreaterThan(20), { interval: 1 });
  faults.to = LOST;
  await once(handle, "paused");
  expect(to.size).toBeLessThan(500);
  from.put({ id: 1, n: 9 });
  faults.to = undefined;
  await once(handle, "caughtUp");
  await handle.stop();
  expect(sorted(to)).toEqual(sorted(from));
});

test("a paused follow whose end is away ends by stop(), and resume() asks at once", async () => {
  const { faults, follow } = pair();
  const { handle } = await follow();
  await once(handle, "caughtUp");
  faults.from = LOST;
  await once(handle, "paused");
  handle.resume();
  await handle.stop();
  expect(handle).toMatchObject({ status: "stopped", error: undefined });
});

test("an error that no waiting mends ends it", async () => {
  const { from, faults, follow } = pair();
  const { handle } = await follow();
  await once(handle, "caughtUp");
  faults.to = new P2PError("TARGET_NOT_WRITABLE", "read-only now");
  from.put({ id: 3, n: 1 });
  await expect(handle.done).rejects.toMatchObject({ code: "TARGET_NOT_WRITABLE" });
});

test("a failed round is not waited for at the end", async () => {
  const { from, faults, follow } = pair();
  const { handle } = await follow();
  await once(handle, "caughtUp");
  faults.to = new P2PError("TARGET_NOT_WRITABLE", "read-only now");
  const since = performance.now();
  from.put({ id: 3, n: 1 });
  await handle.done.catch(() => {});
  expect(performance.now() - since).toBeLessThan(2000);
});

test("a source that is replaced while it is followed costs a mirror, and no error", async () => {
  const { from, to, follow, from: old } = pair();
  const { handle } = await follow();
  await once(handle, "caughtUp");
  dropMemoryStore(old.name);
  const fresh = memoryStore(from.name);
  for (let id = 2; id < 13; id++) fresh.put({ id, n: 7 });
  await once(handle, "mirrored");
  fresh.put({ id: 20, n: 8 });
  await vi.waitFor(() => expect(sorted(to)).toEqual(sorted(fresh)), 5000);
  await handle.stop();
  expect(handle.counts.mirrors).toBe(1);
});

test("a source that is replaced by an empty one empties nothing: the follow is paused until it is told to go on", async () => {
  const { from, to, follow } = pair(300);
  const { handle } = await follow();
  await once(handle, "caughtUp");
  dropMemoryStore(from.name);
  const fresh = memoryStore(from.name);
  await once(handle, "paused");
  expect(handle).toMatchObject({ status: "paused", error: { code: "EMPTY_SOURCE" } });
  expect(to.size).toBe(300);
  handle.resume();
  await once(handle, "caughtUp");
  expect(to.size).toBe(0);
  fresh.put({ id: 1, n: 1 });
  await once(handle, "change");
  await handle.stop();
  expect(to.size).toBe(1);
});

test("a target that is replaced while it is followed is filled again", async () => {
  const { from, to, follow } = pair();
  const { handle } = await follow();
  await once(handle, "caughtUp");
  dropMemoryStore(to.name);
  const fresh = memoryStore(to.name);
  from.delete(3);
  await once(handle, "lost");
  await vi.waitFor(() => expect(sorted(fresh)).toEqual(sorted(from)), 5000);
  await handle.stop();
}, 20_000);

test("a target that cannot be counted does not pause the follow for deletes, and one that cannot tell is counted by reading", async () => {
  const { from, to, faults, follow } = pair(2000);
  const { handle } = await follow();
  await once(handle, "caughtUp");
  const paused = vi.fn();
  handle.events.on("paused", ({ error }) => paused(error.code));
  faults.count = new P2PError("BUSY", "try later", { retryable: true });
  for (let id = 0; id < 150; id++) from.delete(id);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(to.size).toBe(2000);
  faults.count = undefined;
  await vi.waitFor(() => expect(to.size).toBe(1850), 5000);
  await handle.stop();
  expect(paused).not.toHaveBeenCalledWith("TOO_MANY_DELETES");
});

test("an identity that could not be asked once is asked again", async () => {
  const { from, to, faults, follow } = pair();
  faults.identity = LOST;
  const { handle } = await follow();
  await once(handle, "caughtUp");
  await handle.stop();
  expect(faults.identity).toBeUndefined();
  expect(sorted(to)).toEqual(sorted(from));
});

test("a second follow of one id is refused on another host, with who holds the lease, and taken when it is given back", async () => {
  const { follow } = pair();
  const first = await follow();
  await once(first.handle, "caughtUp");
  expect(first.handle.lease).toEqual({ place: "target", reason: undefined });
  const second = await follow({}, "two");
  const error = await second.handle.done.catch((thrown: P2PError) => thrown);
  expect(error).toMatchObject({ code: "LEASE_HELD" });
  expect((error as P2PError).message).toMatch(/process \d+ on .+ holds the lease .+, for \d+ s more/);
  await first.handle.stop();
  const third = await follow({ deletes: "remove" }, "two");
  await once(third.handle, "caughtUp");
  await third.handle.stop();
});

test("a follow whose lease another run has taken writes nothing any more, and says so", async () => {
  const { from, to, faults, follow } = pair();
  const { handle } = await follow();
  await once(handle, "caughtUp");
  const hold = Promise.withResolvers<void>();
  faults.hold = hold.promise;
  // As if this host had slept through its term.
  const taken = {
    name: handle.transferId,
    run: "other",
    owner: "other",
    holder: "process 7 on elsewhere",
    ttlMs: 60_000,
  };
  const now = performance.now();
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now + 3_600_000);
  expect(to.leases.take({ ...taken, renew: false })).toEqual({ held: true });
  from.put({ id: 3, n: 1 });
  const error = await handle.done.catch((thrown: P2PError) => thrown);
  clock.mockRestore();
  hold.resolve();
  expect(error).toMatchObject({ code: "LEASE_LOST", message: expect.stringContaining("process 7 on elsewhere") });
  expect(to.get(3)).toEqual({ id: 3, n: 0 });
});

test("the next run from one folder takes the lease over from one that was killed", async () => {
  const { from, to, follow, faults } = pair();
  const first = await follow();
  await once(first.handle, "caughtUp");
  // Its lease is not given back.
  const release = vi.spyOn(to.leases, "release").mockImplementation(() => {});
  await first.handle.stop();
  release.mockRestore();
  expect(to.leases.take({ ...OTHER, name: first.handle.transferId })).toMatchObject({ held: false });
  from.put({ id: 3, n: 1 });
  const { handle } = await follow();
  await once(handle, "change");
  await handle.stop();
  expect(sorted(to)).toEqual(sorted(from));
  expect(faults.opened).toBeGreaterThan(0);
});

const OTHER = { run: "other", owner: "other", holder: "other", ttlMs: 1000, renew: false };

test("where the target can hold no lease the folder's lock must do, which is told, unless it was asked for", async () => {
  const { faults, follow } = pair();
  faults.noLease = true;
  const { handle } = await follow();
  await once(handle, "caughtUp");
  expect(handle.lease).toEqual({ place: "state", reason: "The right is lacking" });
  await handle.stop();
  const second = await follow({ lease: "target" });
  await expect(second.handle.done).rejects.toMatchObject({ code: "LEASE_UNAVAILABLE" });
  const third = await follow({ lease: "state" });
  await once(third.handle, "caughtUp");
  expect(third.handle.lease).toEqual({ place: "state", reason: undefined });
  await third.handle.stop();
  await expect(follow({ lease: "none" as never })).rejects.toMatchObject({
    code: "INVALID_CONFIG",
  });
});

test("a copy that is stopped when its writes are answered is gone on with at once", async () => {
  const { from, to, faults, follow } = pair(300);
  const hold = Promise.withResolvers<void>();
  faults.hold = hold.promise;
  const first = await follow({ batchSize: 10, landsWithin: 30_000 });
  await vi.waitFor(() => expect(first.handle.status).toBe("copying"));
  await new Promise((resolve) => setTimeout(resolve, 30));
  const stopping = first.handle.stop();
  await new Promise((resolve) => setTimeout(resolve, 30));
  hold.resolve();
  faults.hold = undefined;
  await stopping;
  const since = performance.now();
  const { handle } = await follow({ batchSize: 10, landsWithin: 30_000 });
  await once(handle, "caughtUp");
  expect(performance.now() - since).toBeLessThan(5000);
  await handle.stop();
  expect(sorted(to)).toEqual(sorted(from));
});

test("a run that has held its lease in the target does not go on without one", async () => {
  const { from, to, faults, follow } = pair();
  const { handle } = await follow();
  await once(handle, "caughtUp");
  expect(handle.lease).toEqual({ place: "target", reason: undefined });
  faults.noLease = true;
  faults.from = LOST;
  await once(handle, "paused");
  faults.from = undefined;
  from.put({ id: 0, n: 1 });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(to.get(0)).toEqual({ id: 0, n: 0 });
  faults.noLease = false;
  handle.resume();
  await once(handle, "change");
  expect(handle.lease).toEqual({ place: "target", reason: undefined });
  await handle.stop();
  expect(sorted(to)).toEqual(sorted(from));
});

test("what never answers does not keep a follow from being stopped", async () => {
  for (const hangs of ["lookUp", "identity"] as const) {
    const { from, faults, follow } = pair(3);
    if (hangs === "lookUp") faults.hangs = hangs;
    const { handle } = await follow();
    if (hangs === "identity") {
      await once(handle, "caughtUp");
      faults.hangs = hangs;
      from.put({ id: 1, n: 1 });
      // Both stores are looked at now and then while changes are applied.
      await new Promise((resolve) => setTimeout(resolve, 4500));
    }
    const since = performance.now();
    await handle.stop();
    expect(performance.now() - since).toBeLessThan(4000);
  }
});

test("a lease that comes when its follow has been stopped is not renewed", async () => {
  const { to, faults, follow } = pair(3);
  const take = vi.spyOn(to.leases, "take");
  const { promise, resolve } = Promise.withResolvers<void>();
  faults.holdLease = promise;
  const { handle } = await follow();
  await new Promise((done) => setTimeout(done, 100));
  await handle.stop();
  resolve();
  await vi.waitFor(() => expect(take).toHaveBeenCalled());
  await new Promise((done) => setTimeout(done, 800));
  expect(take).toHaveBeenCalledTimes(1);
});
