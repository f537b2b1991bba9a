import { describe, expect, it } from "vitest";
import { P2PError } from "../../src/index.ts";
import { managed, NO_LETTERS } from "../support/scripted-starter.ts";
import { forever, lost, records, ScriptedStore } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

expectNoUnhandledRejections();

/** A target that is away while told so. */
function fragile() {
  const state = { away: false };
  const check = () => {
    if (state.away) throw lost();
  };
  const setting = managed({
    to: () => {
      if (state.away) throw new P2PError("CONNECTION_FAILED", "connection refused");
      return new ScriptedStore([], {
        ping: async () => check(),
        write: (call) => {
          check();
          return call.apply();
        },
      });
    },
  });
  return { state, ...setting };
}

describe("isHealthy", () => {
  it("asks both stores", async () => {
    const { manager, from, to, connect } = managed();
    const { connectionId } = await connect();
    expect(await manager.isHealthy(connectionId)).toBe(true);
    expect([from.opened[0]!.pings, to.opened[0]!.pings]).toEqual([1, 1]);
    expect(await manager.isHealthy("no such")).toBe(false);
    await manager.closeConnection(connectionId);
    expect(await manager.isHealthy(connectionId)).toBe(false);
  });

  it("says when a store went away between two transfers, and the next one reconnects", async () => {
    const { state, manager, to, connect } = fragile();
    const connection = await connect();
    const { connectionId } = connection;
    await manager.transferThroughConnection(connectionId, {}, NO_LETTERS);
    state.away = true;
    expect(connection.isAlive(), "that is local knowledge").toBe(true);
    expect(await manager.isHealthy(connectionId)).toBe(false);
    expect([connection.status, connection.isAlive()]).toEqual(["ERROR", false]);
    await expect(manager.transferThroughConnection(connectionId, {}, NO_LETTERS)).rejects.toMatchObject({
      code: "CONNECTION_FAILED",
    });
    expect(connection.status).toBe("ERROR");
    state.away = false;
    const steps: string[] = [];
    manager.events.on("statusChanged", (event) => steps.push(event.to));
    let reconnected = 0;
    manager.events.on("reconnected", () => reconnected++);
    expect(await manager.transferThroughConnection(connectionId, {}, NO_LETTERS)).toMatchObject({ successCount: 20 });
    expect(steps).toEqual(["CONNECTING", "ESTABLISHED", "TRANSFERRING", "IDLE"]);
    expect([reconnected, manager.getConnectionStatistics(connectionId).reconnect_count]).toEqual([1, 1]);
    expect(await manager.isHealthy(connectionId)).toBe(true);
    expect(to.stillOpen).toBe(1);
  });

  it("says so without auto_reconnect, and the connection is of no use any more", async () => {
    const { state, manager, connect } = fragile();
    const connection = await connect({ auto_reconnect: false });
    state.away = true;
    expect(await manager.isHealthy(connection.connectionId)).toBe(false);
    state.away = false;
    await expect(manager.transferThroughConnection(connection.connectionId, {})).rejects.toMatchObject({
      code: "INVALID_STATE",
      message:
        "Connection is not in a valid state for transfer: it is ERROR; set auto_reconnect, or close it and establish it anew",
    });
    expect(await manager.isHealthy(connection.connectionId), "though the store answers again").toBe(false);
    expect(await manager.closeConnection(connection.connectionId)).toBe(true);
  });

  it("waits no longer than connection_timeout", async () => {
    const { manager, connect } = managed({ from: () => new ScriptedStore([], { ping: () => forever() }) });
    const connection = await connect({ connection_timeout: 40 });
    const startedAt = performance.now();
    expect(await manager.isHealthy(connection.connectionId)).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(connection.status).toBe("ERROR");
    expect(manager.getConnectionStatistics(connection.connectionId).last_error).toBe("from:a does not answer");
  });

  it.each<[string, () => Promise<void>]>([
    ["rejects with anything", () => Promise.reject(new TypeError("socket hang up"))],
    [
      "throws at once",
      () => {
        throw new Error("destroyed");
      },
    ],
  ])("says no where a store %s", async (_, ping) => {
    const { manager, connect } = managed({ to: () => Object.assign(new ScriptedStore(), { ping }) });
    const { connectionId } = await connect();
    expect(await manager.isHealthy(connectionId)).toBe(false);
  });

  it("during a transfer asks too, and leaves the transfer to find out by itself", async () => {
    const held = Promise.withResolvers<void>();
    let away = false;
    const { manager, connect } = managed({
      to: () =>
        new ScriptedStore([], {
          ping: async () => {
            if (away) throw lost();
          },
          write: async (call) => {
            await held.promise;
            return call.apply();
          },
        }),
    });
    const connection = await connect();
    const run = manager.transferThroughConnection(connection.connectionId, {}, NO_LETTERS);
    expect(await manager.isHealthy(connection.connectionId)).toBe(true);
    away = true;
    expect(await manager.isHealthy(connection.connectionId)).toBe(false);
    expect(connection.status).toBe("TRANSFERRING");
    held.resolve();
    expect((await run).successCount).toBe(20);
    expect(connection.status).toBe("IDLE");
  });
});

describe("a transfer that loses its store", () => {
  it("puts the connection into ERROR, from which the next transfer leads", async () => {
    const { state, manager, to, connect } = fragile();
    const connection = await connect({ reconnect_timeout: 0 });
    state.away = true;
    await expect(manager.transferThroughConnection(connection.connectionId, {}, NO_LETTERS)).rejects.toMatchObject({
      code: "CONNECTION_LOST",
    });
    expect(connection.status).toBe("ERROR");
    state.away = false;
    expect(await manager.transferThroughConnection(connection.connectionId, {}, NO_LETTERS)).toMatchObject({
      successCount: 20,
    });
    expect(connection.status).toBe("IDLE");
    expect(to.opened).toHaveLength(2);
    expect(to.stillOpen).toBe(1);
  });

  it("reconnects for one of two transfers that want it at once", async () => {
    const { state, manager, connect } = fragile();
    const connection = await connect();
    state.away = true;
    await manager.isHealthy(connection.connectionId);
    state.away = false;
    const both = await Promise.allSettled(
      [1, 2].map(() => manager.transferThroughConnection(connection.connectionId, {}, NO_LETTERS)),
    );
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(both.find((one) => one.status === "rejected")!.reason).toMatchObject({
      code: "INVALID_STATE",
      message: expect.stringContaining("it is CONNECTING; wait until it is established"),
    });
  });

  it("can be closed while it reconnects", async () => {
    const again = Promise.withResolvers<ScriptedStore>();
    const { manager, to, connect } = managed({
      to: (_, __, number) =>
        number === 0
          ? new ScriptedStore([], {
              ping: async () => {
                throw lost();
              },
            })
          : again.promise,
    });
    const connection = await connect();
    await manager.isHealthy(connection.connectionId);
    const run = manager.transferThroughConnection(connection.connectionId, {}, NO_LETTERS);
    run.catch(() => {});
    await new Promise(setImmediate);
    expect(connection.status).toBe("CONNECTING");
    await connection.close();
    again.resolve(new ScriptedStore());
    await expect(run).rejects.toMatchObject({ code: "CLOSED" });
    expect(connection.status).toBe("CLOSED");
    expect(to.stillOpen).toBe(0);
  });

  it("gives a store that others share a new one as well", async () => {
    let away = false;
    const { manager, from, connect } = managed({
      from: () =>
        new ScriptedStore(records(3), {
          ping: async () => {
            if (away) throw lost();
          },
        }),
    });
    const [one, two] = [await connect(), await manager.establish("from:a", "to:other")];
    expect(from.opened).toHaveLength(1);
    away = true;
    expect(await manager.isHealthy(one.connectionId)).toBe(false);
    away = false;
    await manager.transferThroughConnection(one.connectionId, {}, NO_LETTERS);
    expect(from.opened).toHaveLength(2);
    expect(from.stillOpen, "the old one is still used by the other connection").toBe(2);
    await two.close();
    expect(from.stillOpen).toBe(1);
    await one.close();
    expect(from.stillOpen).toBe(0);
  });
});
