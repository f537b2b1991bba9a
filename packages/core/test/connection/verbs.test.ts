import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, it, onTestFinished } from "vitest";
import { MemoryCheckpointStore, type P2PDiagnostics, P2PError, type TransferProgress } from "../../src/index.ts";
import { managed, NO_LETTERS } from "../support/scripted-starter.ts";
import { busy, forever, lost, records, ScriptedStore, untilAborted } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

expectNoUnhandledRejections();

const held = () => {
  const gate = Promise.withResolvers<void>();
  const to = () =>
    new ScriptedStore([], {
      write: async (call) => {
        if (call.number > 0) await gate.promise;
        return call.apply();
      },
    });
  return { gate, to };
};

const soon = (ms = 20) => new Promise((resolve) => setTimeout(resolve, ms));

describe("a connection itself", () => {
  it("transfers, compares, counts and is asked for its health, as its manager does by the id", async () => {
    const { manager, connect } = managed();
    const connection = await connect();
    expect(await connection.transfer({}, NO_LETTERS)).toMatchObject({ successCount: 20 });
    expect(await manager.transferThroughConnection(connection.connectionId, {}, { ...NO_LETTERS })).toMatchObject({
      successCount: 20,
    });
    expect(connection.statistics()).toEqual(manager.getConnectionStatistics(connection.connectionId));
    expect(connection.statistics().total_transfers).toBe(2);
    expect(await connection.isHealthy()).toBe(true);
    expect((await connection.verify()).sourceCount).toBe(20);
    expect((await connection.partitions({}, 1)).queries).toEqual([{}]);
  });

  it("keeps the guide's form with a batch size", async () => {
    const { manager, to, connect } = managed();
    const { connectionId } = await connect({ concurrency: 1 });
    await manager.transferThroughConnection(connectionId, {}, 5);
    expect(to.opened[0]!.sent.map((sent) => sent.length)).toEqual([5, 5, 5, 5]);
  });

  it("rejects rather than throws, and is refused what its manager is refused", async () => {
    const { manager, connect } = managed();
    const connection = await connect();
    for (const wrong of [() => connection.transfer(new Map() as object), () => connection.verify("x" as never)]) {
      await expect(wrong()).rejects.toMatchObject({ code: "INVALID_QUERY" });
    }
    await expect(connection.transfer({}, null as never)).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    await manager.close();
    await expect(connection.transfer()).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("tells its own events, each with the id of the transfer, and nothing of another connection", async () => {
    const { manager, connect } = managed();
    const [one, two] = [await connect(), await connect()];
    const told: unknown[] = [];
    const names = ["statusChanged", "transferStarted", "transferCompleted", "transferFailed", "progress"] as const;
    for (const name of names) {
      one.events.on(name, (event: { transferId?: string }) => told.push([name, event.transferId]));
    }
    const all: unknown[] = [];
    manager.events.on("transferCompleted", ({ transferId }) => all.push(transferId));
    const other = await two.transfer({}, NO_LETTERS);
    const running = one.transfer({}, NO_LETTERS);
    const result = await running;
    expect(result.transferId).toBe(running.transferId);
    const id = running.transferId;
    expect(told).toEqual([
      ["transferStarted", id],
      ["statusChanged", id],
      ["progress", id],
      ["statusChanged", id],
      ["transferCompleted", id],
    ]);
    expect(all).toEqual([other.transferId, id]);
    const checkpoint = new MemoryCheckpointStore();
    const failing = one.transfer({}, { ...NO_LETTERS, checkpoint, transferId: "mine", signal: AbortSignal.abort() });
    await expect(failing).rejects.toMatchObject({ code: "ABORTED" });
    expect(told.at(-1)).toEqual(["transferFailed", "mine"]);
  });

  it("lets those who come late ask how far a transfer is, and those who listen late hear of it", async () => {
    const { gate, to } = held();
    const { manager, from, connect } = managed({ to });
    const connection = await connect({ batch_size: 5, concurrency: 1 });
    const running = connection.transfer({}, { ...NO_LETTERS, progressInterval: 0 });
    await soon();
    const late = manager.getConnection(connection.connectionId)!.activeTransfer!;
    expect(late).toBe(running);
    expect(late.progress()).toMatchObject({ transferId: running.transferId, records: 5, failures: 0 });
    await soon(5);
    expect(late.progress().total, "the source counts once somebody asks").toBe(20);
    const told: TransferProgress[] = [];
    connection.events.on("progress", ({ progress }) => told.push(progress));
    gate.resolve();
    await running;
    expect(told.at(-1)).toMatchObject({ records: 20, total: 20 });
    expect(connection.activeTransfer).toBeUndefined();
    const after = running.progress();
    await soon(5);
    expect(running.progress()).toEqual(after);
    expect(after.records).toBe(20);
    expect(from.opened[0]!.isClosed).toBe(false);
  });

  it("asks no source to count where nobody wants to know", async () => {
    let counted = 0;
    const { connect } = managed({ from: () => new ScriptedStore(records(3), { count: async () => ++counted }) });
    const connection = await connect();
    await connection.transfer({}, NO_LETTERS);
    expect(counted).toBe(0);
  });

  it("turns no checkpoints on by the id that it gives a transfer", async () => {
    const { connect } = managed();
    const checkpoint = new MemoryCheckpointStore();
    const running = (await connect()).transfer({}, { ...NO_LETTERS, checkpoint });
    await running;
    expect(await checkpoint.load(running.transferId)).toMatchObject({ status: "completed" });
    expect(running.transferId).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe("read", () => {
  it("gives batches with records, failures and a cursor to go on from", async () => {
    const source = new ScriptedStore([...records(5), { title: "no id" } as never, ...records(2)], {
      unreadable: new Set([1]),
    });
    const { connect } = managed({ from: () => source });
    const connection = await connect();
    const batches = [];
    for await (const batch of connection.read({}, { batchSize: 3 })) batches.push(batch);
    expect(batches.map((batch) => batch.records.length)).toEqual([2, 2, 2]);
    expect(batches[0]!.failures).toMatchObject([{ id: "r00001", error: { code: "READ_FAILED" } }]);
    expect(batches[1]!.failures).toMatchObject([{ id: "", error: { code: "INVALID_RECORD" } }]);
    expect(connection.status).toBe("IDLE");
    const rest = [];
    for await (const { records: some } of connection.read({}, { after: batches[0]!.cursor })) rest.push(...some);
    expect(rest.map(({ at }) => at)).toEqual([3, 4, 0, 1]);
  });

  it("reads no batch before it is asked for, and holds the connection meanwhile", async () => {
    const source = new ScriptedStore(records(50));
    const { connect } = managed({ from: () => source });
    const connection = await connect();
    const reading = connection.read({}, { batchSize: 5 });
    expect(connection.status).toBe("ESTABLISHED");
    await reading.next();
    await soon();
    expect(source.batchesRead).toBe(1);
    expect(connection.status).toBe("TRANSFERRING");
    await expect(connection.transfer()).rejects.toMatchObject({ code: "INVALID_STATE" });
    await reading.return();
    expect(connection.status).toBe("IDLE");
    expect(await reading.next()).toEqual({ done: true, value: undefined });
  });

  it.each([
    ["break", undefined],
    ["an error", new Error("mine")],
  ])("closes the source's iterator and frees the connection by %s in the loop", async (_, error) => {
    let closed = 0;
    const source = new ScriptedStore(records(50));
    const read = source.readFromSource.bind(source);
    source.readFromSource = async function* (query, options) {
      try {
        yield* read(query, options);
      } finally {
        closed++;
      }
    };
    const { connect } = managed({ from: () => source });
    const connection = await connect();
    const loop = async () => {
      for await (const { records: some } of connection.read({}, { batchSize: 5 })) {
        expect(some).toHaveLength(5);
        if (error) throw error;
        break;
      }
    };
    await (error ? expect(loop()).rejects.toBe(error) : loop());
    expect([closed, connection.status]).toEqual([1, "IDLE"]);
    expect((await connection.transfer({}, NO_LETTERS)).successCount).toBe(50);
  });

  it("goes on behind the last batch when the source was away, and throws what it cannot get over", async () => {
    let breaks = 1;
    const source = new ScriptedStore(records(20));
    const read = source.readFromSource.bind(source);
    source.readFromSource = async function* (query, options) {
      for await (const batch of read(query, options)) {
        if (options.after === 10 && breaks-- > 0) throw lost();
        yield batch;
        if (breaks > 0 && batch.cursor === 10) throw lost();
      }
    };
    const { connect } = managed({ from: () => source });
    const connection = await connect();
    const seen: unknown[] = [];
    for await (const batch of connection.read({ limit: 15 }, { batchSize: 5 })) {
      seen.push(...batch.records.map(({ at }) => at));
    }
    expect(seen).toEqual(Array.from({ length: 15 }, (_, at) => at));
    source.readFromSource = () => {
      throw busy();
    };
    const failing = connection.read({}, { batchSize: 5 });
    await expect(failing.next()).rejects.toMatchObject({ code: "BUSY" });
    expect(connection.status).toBe("IDLE");
    expect((await failing.next()).done).toBe(true);
  });

  it("is told STORE_CHANGED when another came back", async () => {
    let incarnation = "a";
    const source = Object.assign(new ScriptedStore(records(20)), { identity: async () => ({ incarnation }) });
    const read = source.readFromSource.bind(source);
    source.readFromSource = async function* (query, options) {
      for await (const batch of read(query, options)) {
        yield batch;
        incarnation = "b";
        throw lost();
      }
    };
    const { connect } = managed({ from: () => source });
    const reading = (await connect()).read({}, { batchSize: 5 });
    await reading.next();
    await expect(reading.next()).rejects.toMatchObject({ code: "STORE_CHANGED" });
  });

  it.each(["signal", "close"] as const)("is ended by %s, also while nobody asks for a batch", async (how) => {
    for (const inTheMiddle of [true, false]) {
      const stop = new AbortController();
      const { from, connect } = managed({
        from: () =>
          Object.assign(new ScriptedStore(records(20)), {
            async *readFromSource(_: unknown, options: { signal: AbortSignal }) {
              yield { records: records(1), cursor: 1 };
              await untilAborted(options.signal);
            },
          }),
      });
      const connection = await connect();
      const reading = connection.read({}, { signal: stop.signal });
      await reading.next();
      const pending = inTheMiddle ? undefined : reading.next();
      pending?.catch(() => {});
      const startedAt = performance.now();
      if (how === "signal") stop.abort();
      else await connection.close();
      await soon();
      await expect(pending ?? reading.next()).rejects.toMatchObject({ code: "ABORTED" });
      expect((await reading.next()).done).toBe(true);
      expect(connection.status).toBe(how === "signal" ? "IDLE" : "CLOSED");
      expect(from.stillOpen).toBe(how === "signal" ? 1 : 0);
      expect(performance.now() - startedAt).toBeLessThan(1500);
    }
  });

  it.each<[string, object, string]>([
    ["an unknown option", { batchsize: 5 }, "INVALID_CONFIG"],
    ["a batch size of 0", { batchSize: 0 }, "INVALID_CONFIG"],
    ["what is no schema", { schema: {} }, "INVALID_CONFIG"],
    ["what is no signal", { signal: 5 }, "INVALID_CONFIG"],
    ["a signal that has aborted", { signal: AbortSignal.abort() }, "ABORTED"],
  ])("is refused %s", async (_, options, code) => {
    const { connect } = managed();
    const connection = await connect();
    await expect(connection.read({}, options).next()).rejects.toMatchObject({ code });
    expect(connection.status).toBe("ESTABLISHED");
  });
});

describe("a signal", () => {
  it("gives establish up, and what opens later is closed", async () => {
    for (const reason of [undefined, new P2PError("CLOSED", "enough")]) {
      const opening = Promise.withResolvers<ScriptedStore>();
      const { manager, to } = managed({ to: () => opening.promise });
      const stop = new AbortController();
      const run = manager.establish("from:a", "to:b", {}, { signal: stop.signal });
      run.catch(() => {});
      await soon(5);
      stop.abort(reason);
      await expect(run).rejects.toMatchObject({ code: reason?.code ?? "ABORTED" });
      opening.resolve(new ScriptedStore());
      await soon(5);
      expect(to.stillOpen).toBe(0);
      expect(manager.getActiveConnections()).toEqual([]);
    }
  });

  it("gives up waiting for a place in the pool, and leaves the place to others", async () => {
    const { manager, connect } = managed({ pool: { maxConnections: 1 } });
    const first = await connect();
    const stop = new AbortController();
    const run = manager.establish("from:a", "to:b", {}, { signal: stop.signal });
    stop.abort();
    await expect(run).rejects.toMatchObject({ code: "ABORTED" });
    await first.close();
    expect((await connect()).status).toBe("ESTABLISHED");
  });

  it("gives a warm-up up, and spares another that waits for the same store", async () => {
    let opens = 0;
    const { manager } = managed({ from: () => (opens++ === 0 ? forever() : new ScriptedStore()) });
    const stop = new AbortController();
    const run = manager.warmUp("from:a", "to:b", { signal: stop.signal });
    run.catch(() => {});
    await soon(5);
    const other = manager.establish("from:a", "to:b");
    stop.abort();
    await expect(run).rejects.toMatchObject({ code: "ABORTED", message: "The warm-up was cancelled" });
    expect((await other).status).toBe("ESTABLISHED");
  });

  it("gives a question for health up, and says nothing of the health", async () => {
    const { manager, connect } = managed({ from: () => new ScriptedStore([], { ping: () => forever() }) });
    const connection = await connect();
    const run = connection.isHealthy({ signal: AbortSignal.timeout(10) });
    await expect(run).rejects.toMatchObject({ code: "ABORTED" });
    await expect(manager.isHealthy(connection.connectionId, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "ABORTED",
    });
    expect(connection.status).toBe("ESTABLISHED");
  });

  it("of close, and a second close, end the time that transfers are given", async () => {
    for (const hurry of ["signal", "again"] as const) {
      const { manager, connect } = managed({
        to: () => new ScriptedStore([], { write: (call) => untilAborted(call.options.signal) }),
      });
      const run = (await connect()).transfer({}, NO_LETTERS);
      run.catch(() => {});
      await soon(5);
      const stop = new AbortController();
      const startedAt = performance.now();
      const closing = manager.close({ signal: stop.signal });
      await soon(5);
      if (hurry === "signal") stop.abort();
      else await manager.close({ drainTimeout: 0 });
      await closing;
      expect(performance.now() - startedAt).toBeLessThan(4000);
      await expect(run).rejects.toMatchObject({ code: "ABORTED" });
    }
  });

  it("lets a connection's transfer end within the drainTimeout, and begins none meanwhile", async () => {
    const { gate, to } = held();
    const { connect } = managed({ to });
    const connection = await connect({ batch_size: 5, concurrency: 1 });
    const run = connection.transfer({}, NO_LETTERS);
    await soon(5);
    const closing = connection.close({ drainTimeout: 5000 });
    await expect(connection.transfer()).rejects.toMatchObject({ code: "INVALID_STATE" });
    gate.resolve();
    expect((await run).successCount).toBe(20);
    await closing;
    expect(connection.status).toBe("CLOSED");
  });
});

describe("diagnostics channels", () => {
  function heard<K extends keyof P2PDiagnostics>(name: K): P2PDiagnostics[K][] {
    const messages: P2PDiagnostics[K][] = [];
    const listener = (message: unknown) => void messages.push(message as P2PDiagnostics[K]);
    subscribe(name, listener);
    onTestFinished(() => void unsubscribe(name, listener));
    return messages;
  }

  it("tell of states, batches and retries, with the id of the transfer and no secret", async () => {
    let failures = 1;
    const { manager } = managed({
      to: () =>
        new ScriptedStore([], {
          write: (call) => {
            if (failures-- > 0) throw new P2PError("BUSY", "wait, hunter2", { retryable: true });
            return call.apply();
          },
        }),
    });
    const [states, batches, retries] = [heard("omni-p2p:connection"), heard("omni-p2p:batch"), heard("omni-p2p:retry")];
    const connection = await manager.establish("from://user:hunter2@host/a", "to:b", { retryDelay: 1, concurrency: 1 });
    const running = connection.transfer({}, { ...NO_LETTERS, batchSize: 10 });
    await running;
    const { transferId } = running;
    expect(states.map(({ from, to, transferId: id }) => [from, to, id])).toEqual([
      ["CONNECTING", "ESTABLISHED", undefined],
      ["ESTABLISHED", "TRANSFERRING", transferId],
      ["TRANSFERRING", "IDLE", transferId],
    ]);
    expect(batches).toMatchObject([
      { transferId, records: 10, written: 10, skipped: 0, failed: 0, retries: 10 },
      { transferId, records: 10, written: 10, retries: 0 },
    ]);
    expect(retries).toMatchObject([{ transferId, side: "target", code: "BUSY" }]);
    expect(JSON.stringify([states, batches, retries])).not.toContain("hunter2");
  });

  it("trace transfers, comparisons and openings, with result or error", async () => {
    const steps: unknown[] = [];
    for (const name of ["open", "transfer", "verify"] as const) {
      const step = (what: string) => (context: object) => steps.push([name, what, ...Object.keys(context).slice(3)]);
      const channel = tracingChannel(`omni-p2p:${name}`);
      const subscriber = { start: step("start"), asyncEnd: step("asyncEnd"), error: step("error") } as never;
      channel.subscribe(subscriber);
      onTestFinished(() => void channel.unsubscribe(subscriber));
    }
    const { connect } = managed();
    const connection = await connect();
    await connection.transfer({}, NO_LETTERS);
    await connection.verify();
    await connection.transfer({ limit: -1 }, NO_LETTERS).catch(() => {});
    await connection.transfer({}, { ...NO_LETTERS, signal: AbortSignal.abort() }).catch(() => {});
    expect(steps).toEqual([
      ["open", "start"],
      ["open", "asyncEnd", "result"],
      ["transfer", "start", "transferId", "query"],
      ["transfer", "asyncEnd", "transferId", "query", "result"],
      ["verify", "start", "query"],
      ["verify", "asyncEnd", "query", "result"],
      ["transfer", "start", "transferId", "query"],
      ["transfer", "error", "transferId", "query", "error"],
      ["transfer", "asyncEnd", "transferId", "query", "error"],
    ]);
  });
});
