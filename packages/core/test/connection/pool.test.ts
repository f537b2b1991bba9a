import { describe, expect, it, vi } from "vitest";
import { isP2PError, type P2PConnection } from "../../src/index.ts";
import { managed, NO_LETTERS } from "../support/scripted-starter.ts";
import { forever, lost, records, ScriptedStore } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

expectNoUnhandledRejections();

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const alone = { shareable: false } as const;

describe("a limit on connections", () => {
  it("lets waiters in one by one, in the order in which they came", async () => {
    const { manager, connect } = managed({ pool: { maxConnections: 2 } });
    const first = [await connect(), await connect()];
    const order: number[] = [];
    const waiting = [1, 2, 3].map((number) =>
      connect().then((connection) => {
        order.push(number);
        return connection;
      }),
    );
    await pause(10);
    expect(order).toEqual([]);
    await first[0]!.close();
    await pause(5);
    expect(order).toEqual([1]);
    await first[1]!.close();
    await (await waiting[0]!).close();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
    expect(manager.getActiveConnections()).toHaveLength(2);
  });

  it("is never exceeded, and serves everybody", async () => {
    const { connect, to } = managed({
      pool: { maxConnections: 3 },
      to: () => new ScriptedStore([], { capabilities: alone }),
    });
    let most = 0;
    await Promise.all(
      Array.from({ length: 25 }, async (_, number) => {
        const connection = await connect();
        most = Math.max(most, to.stillOpen);
        await pause(number % 4);
        await connection.close();
      }),
    );
    expect(most).toBe(3);
    expect(to.stillOpen).toBe(0);
  });

  it("ends the waiting after acquireTimeout with a typed error, and the next in line is not passed over", async () => {
    const { connect } = managed({ pool: { maxConnections: 1, acquireTimeout: 60 } });
    const held = await connect();
    const startedAt = performance.now();
    const error: unknown = await connect().catch((thrown: unknown) => thrown);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(59);
    expect(isP2PError(error, "POOL_EXHAUSTED")).toBe(true);
    expect(error).toMatchObject({
      retryable: true,
      message:
        "All 1 connections are in use and none was closed within 60 ms; close connections that are done with, or raise maxConnections",
    });
    const next = connect();
    await held.close();
    await (await next).close();
    await (await connect()).close();
  });

  it("counts no connection that could not be established", async () => {
    let fails = 0;
    const { connect } = managed({
      pool: { maxConnections: 1, acquireTimeout: 20 },
      to: () => {
        if (fails++ < 5) throw new Error("refused");
        return new ScriptedStore();
      },
    });
    for (let i = 0; i < 5; i++) await expect(connect()).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
    await connect();
    await expect(connect()).rejects.toMatchObject({ code: "POOL_EXHAUSTED" });
  });

  it("of acquireTimeout 0 does not wait", async () => {
    const { connect } = managed({ pool: { maxConnections: 1, acquireTimeout: 0 } });
    await connect();
    await expect(connect()).rejects.toMatchObject({ code: "POOL_EXHAUSTED" });
  });
});

describe("stores", () => {
  it("that allow it are shared by connections to the same endpoint, and closed with the last", async () => {
    const { manager, from, to } = managed();
    const many = await Promise.all(Array.from({ length: 5 }, () => manager.establish("from:a?x=1&y=2", "to:b")));
    expect([from.opened.length, to.opened.length]).toEqual([1, 1]);
    many.push(
      await manager.establish(
        { endpointId: "another name", storageType: "from", database: "a", metadata: { y: "2", x: "1" } },
        "to:b",
      ),
    );
    expect(from.opened).toHaveLength(1);
    for (const connection of many.slice(1)) await connection.close();
    expect(from.stillOpen).toBe(1);
    expect(await manager.transferThroughConnection(many[0]!.connectionId, {}, NO_LETTERS)).toMatchObject({
      successCount: 20,
    });
    await many[0]!.close();
    expect([from.stillOpen, to.stillOpen]).toEqual([0, 0]);
  });

  it("that do not are opened for each, at the same time", async () => {
    const { from, connect } = managed({
      from: async () => {
        await pause(100);
        return new ScriptedStore([], { capabilities: alone });
      },
    });
    await (await connect()).close();
    const startedAt = performance.now();
    await Promise.all([1, 2, 3, 4, 5].map(() => connect()));
    expect(from.opened).toHaveLength(6);
    expect(from.stillOpen).toBe(5);
    expect(performance.now() - startedAt).toBeLessThan(400);
  });

  it("are not shared between a source and a target, nor between endpoints that differ in anything", async () => {
    const { manager, from } = managed({ from: () => new ScriptedStore(records(1)) });
    const handler = () => {};
    const ends = [
      "from:a",
      "from:b",
      "from:a?x=1",
      "from:a?x=2",
      { storageType: "from", database: "a", port: 1 },
      { storageType: "from", database: "a", metadata: { x: 1 } },
      { storageType: "from", database: "a", metadata: { password: "one" } },
      { storageType: "from", database: "a", metadata: { password: "two" } },
      { storageType: "from", database: "a", metadata: { n: 1n } },
      { storageType: "from", database: "a", metadata: { client: new Map([["a", 1]]) } },
      { storageType: "from", database: "a", metadata: { client: new Map([["a", 2]]) } },
      { storageType: "from", database: "a", metadata: { on: () => {} } },
      { storageType: "from", database: "a", metadata: { on: handler } },
    ];
    for (const end of ends) await manager.establish(end as string, "from:target");
    expect(from.opened).toHaveLength(ends.length + 1);
    await manager.establish({ storageType: "from", database: "a", metadata: { on: handler } }, "from:target");
    expect(from.opened).toHaveLength(ends.length + 1);
    await manager.establish("from:target", "from:target");
    expect(from.opened).toHaveLength(ends.length + 2);
  });

  it("are opened with options that go in a circle, too", async () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const { manager } = managed();
    const connection = await manager.establish({ storageType: "from", metadata: { circle } }, "to:b");
    expect(connection.status).toBe("ESTABLISHED");
  });

  it("are opened by each who waited, when the first attempt fails, and nobody waits longer than his timeout", async () => {
    let attempts = 0;
    const { to, connect } = managed({
      to: async () => {
        if (attempts++ === 0) return forever();
        return new ScriptedStore();
      },
    });
    const startedAt = performance.now();
    const [first, second, third] = await Promise.allSettled([
      connect({ connection_timeout: 60 }),
      connect({ connection_timeout: 2000 }),
      connect({ connection_timeout: 30 }),
    ]);
    expect(first).toMatchObject({
      status: "rejected",
      reason: { code: "TIMEOUT", message: expect.stringContaining("60 ms") },
    });
    expect(second.status).toBe("fulfilled");
    expect(third.status === "fulfilled" || (third.reason as { code: string }).code === "TIMEOUT").toBe(true);
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(to.asked.length).toBeGreaterThanOrEqual(2);
  });

  it("fail for all who wait at once, not one after the other", async () => {
    const { connect } = managed({ to: () => forever() });
    const startedAt = performance.now();
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => connect({ connection_timeout: 150 })));
    expect(outcomes.every((one) => one.status === "rejected" && isP2PError(one.reason, "TIMEOUT"))).toBe(true);
    expect(performance.now() - startedAt).toBeLessThan(700);
  });

  it("that went away unnoticed are not given to another connection", async () => {
    let away = false;
    const { from, connect } = managed({
      from: () =>
        new ScriptedStore([], {
          ping: async () => {
            if (away) throw lost();
          },
        }),
    });
    await connect();
    away = true;
    const second = await connect();
    expect(second.status).toBe("ESTABLISHED");
    expect(from.opened).toHaveLength(2);
  });
});

describe("idleTtl", () => {
  const closedWithin = async (connection: P2PConnection, ms: number) => {
    for (const end = performance.now() + ms; performance.now() < end; await pause(5))
      if (connection.status === "CLOSED") return true;
    return false;
  };

  it("keeps a store that nobody uses for a while, and then closes it", async () => {
    const { from, to, connect } = managed({
      pool: { idleTtl: 300 },
      to: () => new ScriptedStore([], { capabilities: alone }),
    });
    await (await connect()).close();
    expect([from.stillOpen, to.stillOpen]).toEqual([1, 1]);
    await (await connect()).close();
    expect([from.opened.length, to.opened.length]).toEqual([1, 1]);
    await vi.waitFor(() => expect([from.stillOpen, to.stillOpen]).toEqual([0, 0]), 3000);
  });

  it("closes a connection that transferred nothing for so long", async () => {
    const { manager, connect } = managed({ pool: { idleTtl: 60 } });
    const idle = await connect();
    expect(await closedWithin(idle, 1000)).toBe(true);
    expect(manager.getActiveConnections()).toEqual([]);
  });

  it("does not close one in a transfer, and counts from its end", async () => {
    const held = Promise.withResolvers<void>();
    const { manager, connect } = managed({
      pool: { idleTtl: 50 },
      to: () =>
        new ScriptedStore([], {
          write: async (call) => {
            await held.promise;
            return call.apply();
          },
        }),
    });
    const connection = await connect();
    const run = manager.transferThroughConnection(connection.connectionId, {}, NO_LETTERS);
    await pause(150);
    expect(connection.status).toBe("TRANSFERRING");
    held.resolve();
    await run;
    expect(connection.status).toBe("IDLE");
    expect(await closedWithin(connection, 1000)).toBe(true);
  });
});

describe("warmUp", () => {
  it.each([true, false])("opens two stores ahead, shareable: %s", async (shareable) => {
    const open = () => new ScriptedStore(records(1), { capabilities: { shareable } });
    const { manager, from, to, connect } = managed({ from: open, to: open });
    await manager.warmUp("from:a", "to:b");
    expect(manager.getActiveConnections()).toEqual([]);
    expect([from.opened.length, to.opened.length]).toEqual([1, 1]);
    await connect();
    expect([from.opened.length, to.opened.length]).toEqual([1, 1]);
  });

  it("is closed with the manager, and with the idle TTL", async () => {
    const without = managed();
    await without.manager.warmUp("from:a", "to:b");
    await without.manager.close();
    expect(without.from.stillOpen + without.to.stillOpen).toBe(0);
    const withTtl = managed({ pool: { idleTtl: 200 } });
    await withTtl.manager.warmUp("from:a", "to:b");
    expect(withTtl.from.stillOpen + withTtl.to.stillOpen).toBe(2);
    await vi.waitFor(() => expect(withTtl.from.stillOpen + withTtl.to.stillOpen).toBe(0), 3000);
  });

  it("may be done often without a warning", async () => {
    const warnings: string[] = [];
    const listen = (warning: Error) => warnings.push(warning.message);
    process.on("warning", listen);
    const { manager } = managed();
    for (let i = 0; i < 15; i++) await manager.warmUp(`from:${i}`, `to:${i}`);
    await pause(5);
    process.off("warning", listen);
    expect(warnings).toEqual([]);
  });

  it("fails as establish does, without secrets", async () => {
    const { manager } = managed({
      to: () => {
        throw new Error("refused planted-s3cr3t");
      },
    });
    const error: unknown = await manager.warmUp("from:a", "to://u:planted-s3cr3t@h").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "CONNECTION_FAILED" });
    expect(String((error as Error).stack)).not.toContain("s3cr3t");
  });
});
