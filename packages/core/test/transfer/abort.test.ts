import { getEventListeners } from "node:events";
import { describe, expect, it, vi } from "vitest";
import { isP2PError, P2PError } from "../../src/index.ts";
import { busy, forever, lost, records, ScriptedStore, untilAborted } from "../support/scripted-store.ts";
import { CheckpointLog, ending, expectNoUnhandledRejections, LetterBox, transfer } from "../support/transferring.ts";

/** How long an adapter that does not heed its signal may hold up the end, with some to spare for a busy machine. */
const SOON = 3500;

expectNoUnhandledRejections();

/** Cancels the run after a while and tells how it ended, and how long after. */
async function cancelled(source: ScriptedStore, target: ScriptedStore, options: object = {}, after = 20) {
  const controller = new AbortController();
  const run = ending(transfer(source, target, { batchSize: 2, signal: controller.signal, ...options }));
  let at = 0;
  setTimeout(() => {
    at = performance.now();
    controller.abort();
  }, after);
  const error = await run;
  expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  return { error, took: performance.now() - at };
}

describe.concurrent("a transfer that is cancelled", () => {
  it("before it began does nothing", async () => {
    const source = new ScriptedStore(records(10));
    const target = new ScriptedStore();
    const error = await ending(transfer(source, target, { signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ code: "ABORTED", result: { totalRecords: 0 } });
    expect(error.message).toMatch(/^The transfer ".*" was cancelled$/);
    expect(target.sent).toEqual([]);
    expect(source.batchesRead).toBe(0);
  });

  it("while it reads ends at once, where the adapter heeds its signal", async () => {
    const source = new ScriptedStore(records(10), {
      read: ({ from, options }) => (from >= 4 ? untilAborted(options.signal) : undefined),
    });
    const target = new ScriptedStore();
    const { error, took } = await cancelled(source, target);
    expect(error).toMatchObject({ code: "ABORTED", result: { successCount: 4, checkpoint: { recordsRead: 4 } } });
    expect(took).toBeLessThan(500);
    expect(target.content.size).toBe(4);
  });

  it("while it writes ends at once, where the adapter heeds its signal", async () => {
    const target = new ScriptedStore([], {
      write: (call) => (call.number > 0 ? untilAborted(call.options.signal) : call.apply()),
    });
    const { error, took } = await cancelled(new ScriptedStore(records(100)), target);
    expect(error).toMatchObject({ code: "ABORTED", result: { successCount: 2 } });
    expect(took).toBeLessThan(500);
  });

  it("while it waits for a retry ends at once", async () => {
    const target = new ScriptedStore([], {
      write: () => {
        throw busy({ retryAfterMs: 60_000 });
      },
    });
    const { error, took } = await cancelled(new ScriptedStore(records(10)), target);
    expect(error.code).toBe("ABORTED");
    expect(took).toBeLessThan(500);
  });

  it("while it waits for a store to come back ends at once", async () => {
    const target = new ScriptedStore([], {
      write: () => {
        throw lost();
      },
    });
    const { error, took } = await cancelled(new ScriptedStore(records(10)), target, {
      retryDelay: 60_000,
      maxRetryDelay: 60_000,
    });
    expect(error.code).toBe("ABORTED");
    expect(took).toBeLessThan(500);
  });

  it("ends soon though the source never settles", async () => {
    const source = new ScriptedStore(records(10), { read: ({ from }) => (from >= 4 ? forever() : undefined) });
    const { error, took } = await cancelled(source, new ScriptedStore());
    expect(error).toMatchObject({ code: "ABORTED", result: { successCount: 4 } });
    expect(took).toBeLessThan(SOON);
  });

  it("ends soon though the target never settles", async () => {
    const target = new ScriptedStore([], { write: (call) => (call.number > 0 ? forever() : call.apply()) });
    const { error, took } = await cancelled(new ScriptedStore(records(100)), target);
    expect(error).toMatchObject({ code: "ABORTED", result: { successCount: 2 } });
    expect(took).toBeLessThan(SOON);
  });

  it("ends soon though the target never settles and all has been read", async () => {
    const target = new ScriptedStore([], { write: () => forever() });
    const { error, took } = await cancelled(new ScriptedStore(records(1)), target);
    expect(error.code).toBe("ABORTED");
    expect(took).toBeLessThan(SOON);
  });

  it("ends soon though neither side settles", async () => {
    const source = new ScriptedStore(records(10), { read: ({ from }) => (from >= 2 ? forever() : undefined) });
    const { error, took } = await cancelled(source, new ScriptedStore([], { write: () => forever() }));
    expect(error.code).toBe("ABORTED");
    expect(took).toBeLessThan(SOON);
  });

  it("ends soon though a transform never settles", async () => {
    const { error, took } = await cancelled(new ScriptedStore(records(10)), new ScriptedStore(), {
      transform: () => forever(),
    });
    expect(error.code).toBe("ABORTED");
    expect(took).toBeLessThan(SOON);
  });

  it("ends soon though the dead letters are never kept", async () => {
    const box = new LetterBox();
    box.write = () => forever();
    const list = records(10);
    list[0] = { title: "no id" } as never;
    const { error, took } = await cancelled(new ScriptedStore(list), new ScriptedStore(), { deadLetters: box });
    expect(error).toMatchObject({ code: "ABORTED", result: { totalRecords: 0 } });
    expect(took).toBeLessThan(SOON);
  });

  it("is not disturbed by what an adapter does after its end", async () => {
    const saves = new CheckpointLog();
    const target = new ScriptedStore([], {
      write: (call) =>
        new Promise((resolve, reject) =>
          setTimeout(() => (call.number % 2 ? reject(new Error("late")) : resolve(call.apply())), 2400),
        ),
    });
    const { error } = await cancelled(new ScriptedStore(records(10)), target, {
      transferId: "late",
      checkpoint: saves,
      concurrency: 3,
    });
    const count = saves.saved.length;
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(error.result.totalRecords).toBe(0);
    expect(saves.saved).toHaveLength(count);
  });

  it("says the reason that was given, if it was one of ours, and hands on any other as the cause", async () => {
    const source = () => new ScriptedStore(records(10), { read: ({ options }) => untilAborted(options.signal) });
    const own = new P2PError("CLOSED", "the house is closed");
    expect(await ending(transfer(source(), new ScriptedStore(), { signal: AbortSignal.abort(own) }))).toMatchObject({
      code: "CLOSED",
      message: "the house is closed",
    });
    const error = await ending(
      transfer(source(), new ScriptedStore(), { signal: AbortSignal.abort(new Error("user left")) }),
    );
    expect(error.code).toBe("ABORTED");
    expect((error.cause as Error).cause).toMatchObject({ message: "user left" });
  });
});

describe.concurrent("transfer_timeout", () => {
  it("stops the work, and says what was done", async () => {
    const target = new ScriptedStore([], {
      write: (call) => (call.number > 1 ? untilAborted(call.options.signal) : call.apply()),
    });
    const startedAt = performance.now();
    const error = await ending(
      transfer(new ScriptedStore(records(100)), target, { batchSize: 5, transfer_timeout: 50, concurrency: 1 }),
    );
    expect(error).toMatchObject({ code: "TIMEOUT", result: { successCount: 10 } });
    expect(error.message).toMatch(/was stopped after its transfer_timeout of 50 ms; resume it, or allow more/);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(45);
    expect(performance.now() - startedAt).toBeLessThan(600);
    const sent = target.sent.length;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(target.sent).toHaveLength(sent);
  });

  it("stops adapters that never settle, soon", async () => {
    const startedAt = performance.now();
    const error = await ending(
      transfer(new ScriptedStore(records(9)), new ScriptedStore([], { write: () => forever() }), {
        transfer_timeout: 50,
      }),
    );
    expect(error.code).toBe("TIMEOUT");
    expect(performance.now() - startedAt).toBeLessThan(SOON);
  });

  it("of 0 is none, and leaves no timer behind when it is not needed", async () => {
    const set = vi.spyOn(globalThis, "setTimeout");
    await transfer(new ScriptedStore(records(3)), new ScriptedStore(), { transfer_timeout: 0 });
    set.mockRestore();
    const active = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    await transfer(new ScriptedStore(records(3)), new ScriptedStore(), { transfer_timeout: 100_000 });
    expect(process.getActiveResourcesInfo().filter((name) => name === "Timeout").length).toBeLessThanOrEqual(
      active + 1,
    );
  });
});

describe("the caller's signal", () => {
  it("has no listeners left, however often and however transfers end", async () => {
    const { signal } = new AbortController();
    for (let i = 0; i < 20; i++) {
      await transfer(new ScriptedStore(records(20)), new ScriptedStore(), {
        signal,
        batchSize: 3,
        transform: async (record) => record,
      });
    }
    const failing = new ScriptedStore([], {
      write: () => {
        throw new Error("no");
      },
    });
    await ending(transfer(new ScriptedStore(records(3)), failing, { signal }));
    await transfer(
      new ScriptedStore(records(3)),
      new ScriptedStore([], {
        write: (call) => {
          if (call.number < 3) throw busy();
          return call.apply();
        },
      }),
      { signal },
    );
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("has none left when counting the source throws", async () => {
    const { signal } = new AbortController();
    const source = new ScriptedStore(records(3), {
      count: () => {
        throw new Error("no idea");
      },
    });
    const thrower = Object.assign(source, {
      count: () => {
        throw new Error("no idea");
      },
    });
    await transfer(thrower, new ScriptedStore(), { signal, onProgress: () => {}, transfer_timeout: 1000 }).catch(
      () => {},
    );
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("that aborts after the end changes nothing", async () => {
    const controller = new AbortController();
    const result = await transfer(new ScriptedStore(records(3)), new ScriptedStore(), { signal: controller.signal });
    controller.abort();
    expect(result.checkpoint.status).toBe("completed");
    expect(isP2PError(controller.signal.reason)).toBe(false);
  });
});
