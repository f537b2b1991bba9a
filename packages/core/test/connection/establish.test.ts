import { describe, expect, it } from "vitest";
import {
  type ConnectionStatus,
  DefaultP2PConnectionManager,
  DefaultP2PTransferBridge,
  isP2PError,
  MemoryCheckpointStore,
  P2PError,
} from "../../src/index.ts";
import { managed, NO_LETTERS, ScriptedStarter } from "../support/scripted-starter.ts";
import {
  busy,
  forever,
  records,
  refused,
  type Script,
  ScriptedStore,
  withFailures,
} from "../support/scripted-store.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

expectNoUnhandledRejections();

describe("establish", () => {
  it("opens both ends with their roles, and gives a connection that is ready", async () => {
    const { manager, from, to, connect } = managed();
    const connection = await connect({ description: "nightly", connection_timeout: 1234 });
    expect(connection).toMatchObject({ status: "ESTABLISHED", description: "nightly" });
    expect(connection.isAlive()).toBe(true);
    expect(connection.sourceEndpoint).toEqual({ endpointId: "from:a", storageType: "from", database: "a" });
    expect(connection.targetEndpoint).toEqual({ endpointId: "to:b", storageType: "to", database: "b" });
    expect(from.asked).toMatchObject([
      { endpoint: { database: "a" }, context: { role: "source", connectTimeoutMs: 1234 } },
    ]);
    expect(to.asked).toMatchObject([{ endpoint: { database: "b" }, context: { role: "target" } }]);
    expect(manager.getConnection(connection.connectionId)).toBe(connection);
    expect(manager.getActiveConnections()).toEqual([connection]);
    expect(manager.getConnection("no such")).toBeUndefined();
  });

  it("takes objects and URLs, and settings of the manager below its own", async () => {
    const { manager, from } = managed({ config: { batch_size: 7, connectionTimeout: 99 } });
    const connection = await manager.establish({ storageType: "from", database: "a" }, new URL("to:b"), {
      connection_timeout: 50,
    });
    expect(from.asked[0]!.context.connectTimeoutMs).toBe(50);
    const result = await manager.transferThroughConnection(connection.connectionId, {}, NO_LETTERS);
    expect(result.successCount).toBe(20);
    await manager.establish("from:a", "to:c");
    expect(from.opened).toHaveLength(1);
  });

  it.each<[string, unknown[], string]>([
    ["an endpoint", ["nonsense", "to:b"], "INVALID_ENDPOINT"],
    ["a target", ["from:a", { storageType: "" }], "INVALID_ENDPOINT"],
    ["a setting", ["from:a", "to:b", { batch_size: 0 }], "INVALID_CONFIG"],
    ["a type", ["other:a", "to:b"], "SERVICE_NOT_FOUND"],
  ])("refuses %s that is wrong, and opens nothing", async (_, args, code) => {
    const { manager, from, to } = managed({ appRoot: "/nowhere" });
    const error: unknown = await manager.establish(...(args as [string, string])).catch((thrown: unknown) => thrown);
    expect(isP2PError(error, code as never), String(error)).toBe(true);
    expect(from.stillOpen + to.stillOpen).toBe(0);
    expect(manager.getActiveConnections()).toEqual([]);
  });

  it.each<["source" | "target", () => unknown, string, RegExp]>([
    [
      "source",
      () => new P2PError("SOURCE_NOT_FOUND", "There is no table docs"),
      "SOURCE_NOT_FOUND",
      /^There is no table docs$/,
    ],
    [
      "target",
      () => new P2PError("AUTHENTICATION_FAILED", "wrong password"),
      "AUTHENTICATION_FAILED",
      /^wrong password$/,
    ],
    ["target", () => new Error("ECONNREFUSED"), "CONNECTION_FAILED", /^Failed to open to:b: ECONNREFUSED$/],
    ["source", () => "tantrum", "CONNECTION_FAILED", /^Failed to open from:a: tantrum$/],
  ])("when the %s fails leaves nothing open", async (side, thrown, code, message) => {
    const fail = () => {
      throw thrown();
    };
    const { manager, from, to, connect } = managed(side === "source" ? { from: fail } : { to: fail });
    const error: unknown = await connect().catch((reason: unknown) => reason);
    expect(isP2PError(error, code as never)).toBe(true);
    expect((error as Error).message).toMatch(message);
    expect(from.opened.length + to.opened.length).toBe(1);
    expect(from.stillOpen + to.stillOpen).toBe(0);
    expect(manager.getActiveConnections()).toEqual([]);
  });

  it("waits no longer than connection_timeout for a store that never opens, and clears its timers", async () => {
    const { from, to, connect } = managed({ to: () => forever() });
    const startedAt = performance.now();
    const error: unknown = await connect({ connection_timeout: 60 }).catch((thrown: unknown) => thrown);
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(error).toMatchObject({
      code: "TIMEOUT",
      retryable: true,
      message: expect.stringMatching(/^to:b did not answer within the connection_timeout of 60 ms; .*/),
    });
    expect(from.stillOpen).toBe(0);
    expect(to.asked[0]!.context.signal.aborted).toBe(true);
  });

  it("closes a store that opens when nobody waits for it any more", async () => {
    const late = Promise.withResolvers<ScriptedStore>();
    const { to, connect } = managed({ to: () => late.promise });
    await expect(connect({ connection_timeout: 20 })).rejects.toMatchObject({ code: "TIMEOUT" });
    late.resolve(new ScriptedStore());
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(to.opened).toHaveLength(1);
    expect(to.stillOpen).toBe(0);
  });

  it("bears a store that fails when nobody waits for it any more", async () => {
    const late = Promise.withResolvers<ScriptedStore>();
    const { connect } = managed({ to: () => late.promise });
    await expect(connect({ connection_timeout: 20 })).rejects.toMatchObject({ code: "TIMEOUT" });
    late.reject(new Error("at last"));
    await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it("bears a starter that throws without a promise, and leaves no timer", async () => {
    const { manager } = managed();
    manager.registerService(
      "odd",
      Object.assign(new ScriptedStarter("odd"), {
        open: () => {
          throw new Error("at once");
        },
      }),
    );
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    await expect(manager.establish("odd:a", "to:b", { connection_timeout: 60_000 })).rejects.toMatchObject({
      code: "CONNECTION_FAILED",
      message: expect.stringContaining("at once"),
    });
    expect(timers()).toBe(before);
  });

  it("can be closed while it is under way", async () => {
    const opening = Promise.withResolvers<ScriptedStore>();
    const { manager, from, to, connect } = managed({ to: () => opening.promise });
    const run = connect();
    await new Promise(setImmediate);
    const steps: string[] = [];
    manager.events.on("statusChanged", ({ from: before, to: after }) => steps.push(`${before} ${after}`));
    const [connection] = manager.getActiveConnections();
    expect(connection!.status).toBe("CONNECTING");
    await manager.closeConnection(connection!.connectionId);
    opening.resolve(new ScriptedStore());
    await expect(run).rejects.toMatchObject({ code: "CLOSED" });
    expect(from.stillOpen + to.stillOpen).toBe(0);
    expect(steps).toEqual(["CONNECTING CLOSED"]);
  });
});

describe("a manager", () => {
  it.each<[string, object, RegExp]>([
    ["settings that are wrong", { config: { batch_size: 0 } }, /"batch_size" must be/],
    ["an unknown pool option", { pool: { max: 5 } }, /unknown pool option "max"/],
    ["no connections", { pool: { maxConnections: 0 } }, /"maxConnections" must be a whole number from 1 to 2147483647/],
    ["a negative time to live", { pool: { idleTtl: -1 } }, /"idleTtl" must be a whole number from 0 to/],
    ["a time to live longer than a timer", { pool: { idleTtl: 2 ** 31 } }, /"idleTtl" must be/],
    ["half a timeout", { pool: { acquireTimeout: 0.5 } }, /"acquireTimeout" must be/],
  ])("cannot be made with %s", (_, options, message) => {
    expect(() => new DefaultP2PConnectionManager(options)).toThrow(message);
    expect(() => new DefaultP2PConnectionManager(options)).toThrow(
      expect.toSatisfy((error) => isP2PError(error, "INVALID_CONFIG")),
    );
  });

  it("uses the bridge it is given, as the guide does", async () => {
    const calls: unknown[] = [];
    const bridge = Object.assign(new DefaultP2PTransferBridge(), {
      transfer: (...args: unknown[]) => {
        calls.push(args);
        throw new Error("of my own");
      },
    });
    const manager = new DefaultP2PConnectionManager(bridge as never);
    manager.registerService("from", new ScriptedStarter("from"));
    manager.registerService("to", new ScriptedStarter("to"));
    const { connectionId } = await manager.establish("from:a", "to:b");
    await expect(manager.transferThroughConnection(connectionId, { limit: 1 }, 5)).rejects.toMatchObject({
      code: "WRITE_FAILED",
      message: "The transfer failed: of my own",
    });
    expect(calls).toHaveLength(1);
    expect(manager.getConnection(connectionId)!.status).toBe("IDLE");
    await manager.close();
  });
});

describe("a transfer through a connection", () => {
  const statuses = (manager: DefaultP2PConnectionManager) => {
    const seen: ConnectionStatus[] = [];
    manager.events.on("statusChanged", ({ to }) => seen.push(to));
    return seen;
  };

  it("may be made as often as one likes", async () => {
    const { manager, to, connect } = managed();
    const seen = statuses(manager);
    const { connectionId } = await connect({ batch_size: 6 });
    for (let i = 0; i < 3; i++) {
      const result = await manager.transferThroughConnection(connectionId, { offset: i * 5, limit: 5 }, 2);
      expect(result).toMatchObject({ totalRecords: 5, successCount: 5 });
    }
    expect(seen).toEqual(["ESTABLISHED", "TRANSFERRING", "IDLE", "TRANSFERRING", "IDLE", "TRANSFERRING", "IDLE"]);
    expect(to.opened[0]!.sent.map((sent) => sent.length)).toEqual([2, 2, 1, 2, 2, 1, 2, 2, 1]);
    await manager.transferThroughConnection(connectionId, {}, NO_LETTERS);
    expect(to.opened[0]!.sent.at(-1)).toHaveLength(2);
    expect(to.opened[0]!.sent.at(-2)).toHaveLength(6);
  });

  it.each<[string, unknown]>([
    ["a batch size of 0", 0],
    ["NaN", Number.NaN],
    ["text", "100"],
    ["null", null],
    ["an unknown option", { batchSise: 5 }],
    ["null for dead letters", { deadLetters: null }],
  ])("is refused with %s, and the next one works", async (_, options) => {
    const { manager, connect } = managed();
    manager.events.on("progress", () => {});
    const { connectionId } = await connect();
    await expect(manager.transferThroughConnection(connectionId, {}, options as number)).rejects.toMatchObject({
      code: "INVALID_CONFIG",
    });
    expect(await manager.transferThroughConnection(connectionId, {}, NO_LETTERS)).toMatchObject({ successCount: 20 });
  });

  it("one at a time, in the guide's words", async () => {
    const held = Promise.withResolvers<void>();
    const { manager, connect } = managed({
      to: () =>
        new ScriptedStore([], {
          write: async (call) => {
            await held.promise;
            return call.apply();
          },
        }),
    });
    const { connectionId } = await connect();
    const first = manager.transferThroughConnection(connectionId, {}, NO_LETTERS);
    await expect(manager.transferThroughConnection(connectionId, {}, NO_LETTERS)).rejects.toMatchObject({
      code: "INVALID_STATE",
      message:
        "Connection is not in a valid state for transfer: it is TRANSFERRING; wait for the transfer under way to end, or establish another connection for a second one",
    });
    held.resolve();
    expect((await first).successCount).toBe(20);
  });

  it("is refused on a closed or unknown one, in the guide's words", async () => {
    const { manager, connect } = managed();
    const { connectionId } = await connect();
    await manager.closeConnection(connectionId);
    for (const id of [connectionId, "no such"]) {
      await expect(manager.transferThroughConnection(id, {})).rejects.toMatchObject({
        code: "INVALID_STATE",
        message: expect.stringMatching(
          /^Connection is not in a valid state for transfer: it is CLOSED or was never established; establish it anew$/,
        ),
      });
    }
  });

  it("leaves the connection IDLE when it fails for another reason than the way to a store", async () => {
    const { manager, connect } = managed({
      to: (_, __, number) =>
        new ScriptedStore(
          [],
          number === 0
            ? {
                write: () => {
                  throw busy();
                },
              }
            : {},
        ),
    });
    const connection = await connect({ max_retries: 0 });
    await expect(manager.transferThroughConnection(connection.connectionId, {}, NO_LETTERS)).rejects.toMatchObject({
      code: "BUSY",
      name: "P2PTransferError",
    });
    expect(connection.status).toBe("IDLE");
    await expect(
      manager.transferThroughConnection(connection.connectionId, {}, { ...NO_LETTERS, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: "ABORTED" });
    expect(connection.status).toBe("IDLE");
  });

  it("keeps the dead letters of an earlier run in their store, and puts none into its own source or target", async () => {
    const { manager, connect } = managed({
      from: () => new ScriptedStore([...records(3), { title: "no id" } as never]),
    });
    const letters = new ScriptedStore();
    manager.registerService("box", new ScriptedStarter("box", () => letters));
    const { connectionId, sourceEndpoint, targetEndpoint } = await connect();
    for (let run = 1; run <= 2; run++) {
      await manager.transferThroughConnection(
        connectionId,
        {},
        { deadLetters: { endpoint: "box:failed" }, transferId: "t", checkpoint: new MemoryCheckpointStore() },
      );
      expect(letters.content.size).toBe(run);
    }
    for (const endpoint of [sourceEndpoint, targetEndpoint]) {
      await expect(
        manager.transferThroughConnection(connectionId, {}, { deadLetters: { endpoint } }),
      ).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    }
  });

  it("may put its dead letters into a store of their own", async () => {
    const { manager, from, connect } = managed({
      from: () => new ScriptedStore([...records(3), { title: "no id" } as never]),
    });
    const box = new ScriptedStarter("box", () => new ScriptedStore());
    manager.registerService("box", box);
    const { connectionId } = await connect();
    const result = await manager.transferThroughConnection(
      connectionId,
      {},
      {
        deadLetters: { endpoint: "box:failed" },
        transferId: "t",
        checkpoint: new (await import("../../src/index.ts")).MemoryCheckpointStore(),
      },
    );
    expect(result).toMatchObject({ failureCount: 1, deadLetters: "box:failed" });
    expect([...box.opened[0]!.content.values()]).toMatchObject([
      {
        id: expect.stringMatching(/^t:[0-9a-f-]{13}:000000000$/),
        phase: "read",
        code: "INVALID_RECORD",
        recordId: "",
      },
    ]);
    expect(box.stillOpen).toBe(0);
    expect(from.stillOpen).toBe(1);
    box.onOpen = () => {
      throw new P2PError("CONNECTION_FAILED", "no box");
    };
    await expect(
      manager.transferThroughConnection(connectionId, {}, { deadLetters: { endpoint: "box:x" } }),
    ).rejects.toMatchObject({ message: "no box" });
  });
});

describe("a store for dead letters", () => {
  const withBox = async (write: Script["write"]) => {
    const { manager, connect } = managed({ from: () => new ScriptedStore([{ title: "no id" } as never]) });
    manager.registerService("box", new ScriptedStarter("box", () => new ScriptedStore([], write ? { write } : {})));
    const connection = await connect();
    const run = manager.transferThroughConnection(connection.connectionId, {}, { deadLetters: { endpoint: "box:x" } });
    return { connection, run };
  };

  it("that is busy is tried again", async () => {
    const { run } = await withBox((call) => {
      if (call.number < 2) throw busy();
      return call.apply();
    });
    expect(await run).toMatchObject({ failureCount: 1 });
  });

  it.each<[string, Script["write"]]>([
    [
      "fails",
      () => {
        throw new P2PError("AUTHENTICATION_FAILED", "no entry");
      },
    ],
    ["refuses the letters", (call) => withFailures(call, () => refused())],
  ])("that %s ends the transfer under its own code, and the connection lives on", async (_, write) => {
    const { connection, run } = await withBox(write);
    await expect(run).rejects.toMatchObject({
      code: "DEAD_LETTER_FAILED",
      message: expect.stringMatching(/^Failed records could not be kept in box:x: .*resume$/),
      result: { failureCount: 0 },
    });
    expect(connection.status).toBe("IDLE");
  });
});

describe("verify through a connection", () => {
  it("compares its two ends, as a piece of work like a transfer", async () => {
    const { manager, connect } = managed({ to: () => new ScriptedStore(records(19)) });
    const connection = await connect();
    const seen: string[] = [];
    manager.events.on("statusChanged", ({ to }) => seen.push(to));
    expect(await manager.verify(connection.connectionId, {})).toMatchObject({
      equal: false,
      missing: 1,
      sourceCount: 20,
    });
    expect(seen).toEqual(["TRANSFERRING", "IDLE"]);
    await expect(manager.verify("no such", {})).rejects.toMatchObject({ code: "INVALID_STATE" });
    await expect(manager.verify(connection.connectionId, {}, { signal: {} as never })).rejects.toMatchObject({
      code: "INVALID_CONFIG",
    });
    await expect(manager.verify(connection.connectionId, {}, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "ABORTED",
    });
    expect(connection.status).toBe("IDLE");
  });

  it("is cancelled when the connection is closed", async () => {
    const { manager, connect } = managed({ from: () => new ScriptedStore(records(5), { read: () => forever() }) });
    const { connectionId } = await connect();
    const run = manager.verify(connectionId, {});
    run.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 10));
    await manager.closeConnection(connectionId);
    await expect(run).rejects.toMatchObject({ code: "ABORTED" });
  });
});
