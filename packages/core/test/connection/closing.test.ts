import { describe, expect, it } from "vitest";
import type { DefaultP2PConnectionManager, TransferResult } from "../../src/index.ts";
import { managed, NO_LETTERS } from "../support/scripted-starter.ts";
import { forever, records, type Script, ScriptedStore, untilAborted } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

expectNoUnhandledRejections();

const soon = () => new Promise((resolve) => setTimeout(resolve, 10));

/** A manager with a connection whose target does as the script says, and a transfer under way. */
async function underWay(write: Script["write"], more: Script = {}) {
  const setting = managed({ to: () => new ScriptedStore([], { ...more, ...(write && { write }) }) });
  const connection = await setting.connect({ batch_size: 5, concurrency: 1 });
  const run: Promise<TransferResult> = setting.manager.transferThroughConnection(
    connection.connectionId,
    {},
    NO_LETTERS,
  );
  run.catch(() => {});
  await soon();
  expect(connection.status).toBe("TRANSFERRING");
  return { ...setting, connection, run };
}

const opened = ({ from, to }: Pick<ReturnType<typeof managed>, "from" | "to">) => from.stillOpen + to.stillOpen;

describe("closeConnection", () => {
  it("closes the connection and its stores, and tells whether there was one", async () => {
    const { manager, from, to, connect } = managed();
    const connection = await connect();
    expect(await manager.closeConnection(connection.connectionId)).toBe(true);
    expect([connection.status, connection.isAlive(), opened({ from, to })]).toEqual(["CLOSED", false, 0]);
    expect(manager.getConnection(connection.connectionId)).toBeUndefined();
    expect(manager.getActiveConnections()).toEqual([]);
    expect(await manager.closeConnection(connection.connectionId)).toBe(false);
    await connection.close();
    expect(from.opened[0]!.closings).toBe(1);
  });

  it("during a transfer cancels it cleanly, with what was done", async () => {
    const setting = await underWay((call) => (call.number > 1 ? untilAborted(call.options.signal) : call.apply()));
    const startedAt = performance.now();
    expect(await setting.manager.closeConnection(setting.connection.connectionId)).toBe(true);
    expect(performance.now() - startedAt).toBeLessThan(500);
    await expect(setting.run).rejects.toMatchObject({
      name: "P2PTransferError",
      code: "ABORTED",
      message: "The transfer was cancelled, since its connection was closed",
      result: { successCount: 10 },
    });
    expect(setting.connection.status).toBe("CLOSED");
    expect(opened(setting)).toBe(0);
  });

  it("does not wait for ever for adapters that never settle", async () => {
    const setting = await underWay(() => forever());
    const startedAt = performance.now();
    await setting.connection.close();
    expect(performance.now() - startedAt).toBeLessThan(3500);
    await expect(setting.run).rejects.toMatchObject({ code: "ABORTED" });
    expect(opened(setting)).toBe(0);
  });

  it.each<[string, () => unknown]>([
    ["fails to close", () => Promise.reject(new Error("already gone"))],
    [
      "throws when it is closed",
      () => {
        throw new Error("already gone");
      },
    ],
    ["never closes", () => forever()],
  ])("bears a store that %s", async (_, close) => {
    const { from, to, connect } = managed({
      from: () =>
        Object.assign(new ScriptedStore(), {
          close: () => {
            store.closings++;
            return close();
          },
        }),
    });
    const connection = await connect();
    const store = from.opened[0]!;
    const startedAt = performance.now();
    await connection.close();
    expect(performance.now() - startedAt).toBeLessThan(3500);
    expect([store.closings, to.stillOpen]).toEqual([1, 0]);
  });

  it("is waited for by whoever closes the same connection, or disposes of it", async () => {
    const setting = await underWay(async (call) => {
      await new Promise((resolve) => setTimeout(resolve, 60));
      return call.apply();
    });
    const order: string[] = [];
    const { connection } = setting;
    await Promise.all([
      connection.close().then(() => order.push(`first, ${opened(setting)} open`)),
      connection.close().then(() => order.push(`second, ${opened(setting)} open`)),
      connection[Symbol.asyncDispose]().then(() => order.push(`third, ${opened(setting)} open`)),
    ]);
    expect(order).toEqual(["first, 0 open", "second, 0 open", "third, 0 open"]);
  });
});

describe("close of the manager", () => {
  it("lets transfers end, refuses what comes, and closes everything", async () => {
    const setting = await underWay(async (call) => {
      await new Promise((resolve) => setTimeout(resolve, 15));
      return call.apply();
    });
    const { manager, run, connect, connection } = setting;
    const idle = await connect();
    const closing = manager.close();
    await expect(connect()).rejects.toMatchObject({
      code: "CLOSED",
      message: "The connection manager is closed; make a new one",
    });
    await expect(manager.warmUp("from:x", "to:x")).rejects.toMatchObject({ code: "CLOSED" });
    await expect(manager.transferThroughConnection(connection.connectionId, {})).rejects.toMatchObject({
      code: "CLOSED",
    });
    await closing;
    expect((await run).successCount).toBe(20);
    expect([idle.status, connection.status, opened(setting)]).toEqual(["CLOSED", "CLOSED", 0]);
    await expect(manager.transferThroughConnection(connection.connectionId, {})).rejects.toMatchObject({
      code: "INVALID_STATE",
    });
    await manager.close();
  });

  it("cancels what has not ended in drainTimeout", async () => {
    const setting = await underWay((call) => untilAborted(call.options.signal));
    const startedAt = performance.now();
    await setting.manager.close({ drainTimeout: 50 });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(49);
    expect(performance.now() - startedAt).toBeLessThan(1000);
    await expect(setting.run).rejects.toMatchObject({ code: "ABORTED" });
    expect(opened(setting)).toBe(0);
  });

  it("cancels at once with drainTimeout 0", async () => {
    const setting = await underWay((call) => untilAborted(call.options.signal));
    const startedAt = performance.now();
    await setting.manager.close({ drainTimeout: 0 });
    expect(performance.now() - startedAt).toBeLessThan(500);
  });

  it("waits as long as it takes with an endless drainTimeout", async () => {
    const setting = await underWay(async (call) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return call.apply();
    });
    await setting.manager.close({ drainTimeout: Number.POSITIVE_INFINITY });
    expect((await setting.run).successCount).toBe(20);
  });

  it("waits for connections that are being closed already", async () => {
    const setting = await underWay(async (call) => {
      await new Promise((resolve) => setTimeout(resolve, 60));
      return call.apply();
    });
    void setting.manager.closeConnection(setting.connection.connectionId);
    await setting.manager.close();
    expect(opened(setting)).toBe(0);
  });

  it("gives up connections that are being opened, and those that wait for a place", async () => {
    const { manager, from, to, connect } = managed({ to: () => forever(), pool: { maxConnections: 1 } });
    const [opening, waiting] = [connect(), connect()];
    const both = Promise.allSettled([opening, waiting]);
    await soon();
    const startedAt = performance.now();
    await manager.close();
    expect(performance.now() - startedAt).toBeLessThan(500);
    expect((await both).map((one) => one.status === "rejected" && (one.reason as { code: string }).code)).toEqual([
      "CLOSED",
      "CLOSED",
    ]);
    expect(from.stillOpen + to.stillOpen).toBe(0);
  });

  it("comes with await using", async () => {
    const setting = managed();
    const use = async (manager: DefaultP2PConnectionManager) => {
      await using _ = manager;
      await setting.connect();
      expect(opened(setting)).toBe(2);
    };
    await use(setting.manager);
    expect(opened(setting)).toBe(0);
  });

  it("leaves nothing that keeps the process alive", async () => {
    const active = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = active();
    const { manager, connect } = managed({ pool: { idleTtl: 60_000, maxConnections: 5 } });
    const connection = await connect();
    await manager.warmUp("from:warm", "to:warm");
    await manager.transferThroughConnection(connection.connectionId, {}, { ...NO_LETTERS, transfer_timeout: 60_000 });
    await manager.isHealthy(connection.connectionId);
    await manager.close();
    expect(active()).toBeLessThanOrEqual(before);
  });
});

describe("a listener that throws or rejects", () => {
  it("ends nothing, leaves no connection between two states, and is told once as a warning", async () => {
    const { manager, from, to, connect } = managed({
      from: () => new ScriptedStore(records(3)),
      pool: { maxConnections: 1, acquireTimeout: 50 },
    });
    const warnings: string[] = [];
    const heard: string[] = [];
    const listen = (warning: Error & { code?: string }) => {
      if (warning.code === "HOOK_FAILED") warnings.push(warning.message);
    };
    process.on("warning", listen);
    try {
      for (const name of ["statusChanged", "transferStarted", "transferCompleted", "closed", "progress"] as const) {
        manager.events.on(name, () => {
          throw new Error(`${name} threw`);
        });
        manager.events.on(name, async () => Promise.reject(new Error(`${name} rejected`)));
        manager.events.once(name, () => heard.push(name));
      }
      const connection = await connect();
      expect(await manager.transferThroughConnection(connection.connectionId, {}, NO_LETTERS)).toMatchObject({
        successCount: 3,
      });
      expect(connection.status).toBe("IDLE");
      await connection.close();
      await (await connect()).close();
      expect(opened({ from, to })).toBe(0);
      await soon();
    } finally {
      process.off("warning", listen);
    }
    const names = ["statusChanged", "transferStarted", "progress", "transferCompleted", "closed"];
    expect(new Set(heard)).toEqual(new Set(names));
    expect(heard).toHaveLength(names.length);
    expect(warnings.sort()).toEqual(
      names
        .flatMap((name) => [`${name} threw`, `${name} rejected`].map((what) => [name, what]))
        .map(
          ([name, what]) =>
            `A listener of the event "${name}" failed: ${what}. It was ignored, and what it listens to goes on`,
        )
        .sort(),
    );
  });
});
