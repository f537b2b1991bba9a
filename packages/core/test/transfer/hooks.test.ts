import { describe, expect, it } from "vitest";
import {
  type CheckpointStore,
  type DeadLetterSink,
  isP2PError,
  MemoryCheckpointStore,
  P2PError,
  type P2PRecord,
  type TransferOptions,
} from "../../src/index.ts";
import { managed } from "../support/scripted-starter.ts";
import { records, ScriptedStore, withFailures } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections, LetterBox, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

const forever = () => new Promise<never>(() => {});

/** Longest that a transfer may take to end which was told to, in ms: what is under way, and the last steps. */
const SOON = 6500;

/** A store of checkpoints of which one method misbehaves. */
function store(method: keyof CheckpointStore, call: () => Promise<never>): CheckpointStore {
  const good = new MemoryCheckpointStore();
  return {
    load: (id) => good.load(id),
    save: (checkpoint) => good.save(checkpoint),
    flush: async () => {},
    remove: (id) => good.remove(id),
    lock: (id) => good.lock(id),
    ...(method === "lock" ? { lock: call } : { [method]: call }),
  };
}

function sink(method: "open" | "write" | "flush" | "close", call: () => Promise<never>): DeadLetterSink {
  const box = new LetterBox();
  return {
    location: "a box",
    open: (position) => box.open(position),
    write: (letters) => box.write(letters),
    flush: async () => {},
    close: () => box.close(),
    [method]: call,
  };
}

const half = () =>
  new ScriptedStore([], {
    write: (call) => withFailures(call, ({ at }) => (Number(at) % 2 ? new P2PError("TYPE_MISMATCH", "no") : undefined)),
  });

/** A promise of another library, which throws. */
class ThrowingThenable {
  // biome-ignore lint/suspicious/noThenProperty: that is the point
  then(): never {
    throw new Error("boom");
  }
}

const outcome = (run: Promise<unknown>) =>
  run.then(
    () => undefined,
    (error: unknown) => error as P2PError,
  );

const METHODS = ["load", "save", "flush", "remove", "lock"] as const;

describe.concurrent.each([1, 3])("a store of checkpoints, with %i partitions,", (partitions) => {
  const options = (checkpoint: CheckpointStore, more: TransferOptions = {}): TransferOptions => ({
    transferId: "t",
    checkpoint,
    partitions,
    batchSize: 2,
    ...more,
  });

  it.each(METHODS)("of which %s() never settles ends with its name after hookTimeout", async (method) => {
    const resume = method === "load";
    const error = await outcome(
      transfer(new ScriptedStore(records(9)), half(), options(store(method, forever), { resume, hookTimeout: 30 })),
    );
    expect(error).toMatchObject({ code: "HOOK_FAILED" });
    expect(error!.message).toBe(
      `${method}() of the checkpoint store did not answer within 30 ms; mend it, or allow more by hookTimeout`,
    );
  });

  it.each(METHODS)("of which %s() rejects with something ends with its name", async (method) => {
    const resume = method === "load";
    const error = await outcome(
      transfer(
        new ScriptedStore(records(9)),
        half(),
        options(
          store(method, () => Promise.reject(new TypeError("boom"))),
          { resume },
        ),
      ),
    );
    expect(error).toMatchObject({
      code: "HOOK_FAILED",
      message: `${method}() of the checkpoint store failed: boom`,
    });
  });

  it.concurrent.each(METHODS)(
    "of which %s() never settles holds up neither a signal nor transfer_timeout",
    async (method) => {
      const resume = method === "load";
      const start = performance.now();
      const stop = new AbortController();
      const run = (more: TransferOptions) =>
        outcome(transfer(new ScriptedStore(records(9)), half(), options(store(method, forever), { resume, ...more })));
      const runs = [run({ signal: stop.signal }), run({ transfer_timeout: 50 })];
      setTimeout(() => stop.abort(), 50);
      const [aborted, late] = await Promise.all(runs);
      expect([aborted?.code, late?.code]).toEqual(["ABORTED", "TIMEOUT"]);
      expect(performance.now() - start).toBeLessThan(SOON);
    },
  );
});

it("a store of checkpoints that hangs holds up neither connection.close() nor manager.close()", async () => {
  const closing = METHODS.filter((name) => name !== "load").map(async (method) => {
    const { manager, connect } = managed({ from: () => new ScriptedStore(records(9)) });
    const [one, two] = [await connect(), await connect()];
    const run = (id: string) =>
      outcome(
        manager.transferThroughConnection(
          id,
          {},
          { deadLetters: false, transferId: "t", checkpoint: store(method, forever) },
        ),
      );
    const runs = [run(one.connectionId), run(two.connectionId)];
    await new Promise((resolve) => setTimeout(resolve, 20));
    const start = performance.now();
    await Promise.all([one.close(), manager.close({ drainTimeout: 0 })]);
    expect(performance.now() - start).toBeLessThan(SOON);
    for (const error of await Promise.all(runs)) expect(isP2PError(error, "ABORTED"), method).toBe(true);
  });
  await Promise.all(closing);
});

it("a lock that cannot be given back takes nothing from a transfer that is complete", async () => {
  for (const partitions of [1, 3]) {
    const checkpoint = { ...store("flush", forever), flush: async () => {} };
    checkpoint.lock = async () => () => Promise.reject(new Error("boom"));
    const result = await transfer(new ScriptedStore(records(3)), new ScriptedStore(), {
      transferId: "t",
      checkpoint,
      partitions,
    });
    expect(result.successCount).toBe(3);
    expect(result.notes).toContain("What lock() of the checkpoint store gave failed: boom");
  }
});

it("a lock that comes when nobody waits for it any more is given back", async () => {
  const given = Promise.withResolvers<() => Promise<void>>();
  let back = 0;
  const checkpoint = { ...store("flush", forever), lock: () => given.promise };
  for (const more of [{ hookTimeout: 10 }, { transfer_timeout: 10 }]) {
    await outcome(transfer(new ScriptedStore(records(3)), half(), { transferId: "t", checkpoint, ...more }));
  }
  given.resolve(async () => void back++);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(back).toBe(2);
});

describe.concurrent.each([1, 3])("a sink for dead letters, with %i partitions,", (partitions) => {
  it.each(["open", "write", "flush", "close"] as const)(
    "of which %s() never settles or rejects is named",
    async (method) => {
      for (const [call, why] of [
        [forever, "did not answer within 30 ms; mend it, or allow more by hookTimeout"],
        [() => Promise.reject(new Error("boom")), "failed: boom"],
      ] as const) {
        const error = await outcome(
          transfer(new ScriptedStore(records(9)), half(), {
            deadLetters: sink(method, call),
            partitions,
            hookTimeout: 30,
            transferId: "t",
            checkpoint: new MemoryCheckpointStore(),
          }),
        );
        expect(error).toMatchObject({
          code: "DEAD_LETTER_FAILED",
          message: `${method}() of the sink for dead letters (a box) ${why}`,
        });
      }
    },
  );

  it.concurrent.each(["open", "write", "flush", "close"] as const)(
    "of which %s() never settles can be cancelled",
    async (method) => {
      const start = performance.now();
      const error = await outcome(
        transfer(new ScriptedStore(records(9)), half(), {
          deadLetters: sink(method, forever),
          partitions,
          transferId: "t",
          checkpoint: new MemoryCheckpointStore(),
          transfer_timeout: 50,
        }),
      );
      // One that is closed when all is done is told to end no more.
      expect(method === "close" ? [undefined, "TIMEOUT"] : ["TIMEOUT"]).toContain(error?.code);
      expect(performance.now() - start).toBeLessThan(SOON);
    },
  );
});

describe("onProgress", () => {
  it.each<[string, () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("boom");
      },
    ],
    ["rejects", () => Promise.reject(new Error("boom"))],
    ["never settles", forever],
    ["is a thenable that throws", () => new ThrowingThenable()],
  ])("that %s ends nothing, and is told once as a warning", async (name, onProgress) => {
    const warnings: (Error & { code?: string })[] = [];
    const listen = (warning: Error) => warnings.push(warning);
    process.on("warning", listen);
    try {
      for (const partitions of [1, 3]) {
        let calls = 0;
        const result = await transfer(new ScriptedStore(records(20)), new ScriptedStore(), {
          progressInterval: 0,
          batchSize: 2,
          partitions,
          onProgress: () => {
            calls++;
            return onProgress();
          },
        });
        expect(result.successCount).toBe(20);
        expect(calls).toBeGreaterThan(1);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    } finally {
      process.off("warning", listen);
    }
    const own = warnings.filter(({ code }) => code === "HOOK_FAILED").map(({ message }) => message);
    const told = "onProgress failed: boom. It was ignored, and what it listens to goes on";
    expect(own).toEqual(name === "never settles" ? [] : [told, told]);
  });
});

describe("an asynchronous transform", () => {
  it("lets no slow record hold up others, in a batch or across batches, and keeps the order", async () => {
    const total = 1600;
    let running = 0;
    let most = 0;
    const transform = async (record: P2PRecord) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, Number(record.at) % 16 === 0 ? 100 : 1));
      running--;
      return record;
    };
    for (const batchSize of [1000, 50]) {
      const target = new ScriptedStore();
      const start = performance.now();
      await transfer(new ScriptedStore(records(total)), target, { transform, batchSize, concurrency: 1 });
      // Waves of 16 would take 10 s: a hundred of them, each as long as its slow record.
      expect(performance.now() - start, `batches of ${batchSize}`).toBeLessThan(5000);
      expect(target.sent.flat().map(({ at }) => at)).toEqual(Array.from({ length: total }, (_, at) => at));
    }
    expect(most).toBe(16);
  });

  it("is called in the order of the records", async () => {
    const called: unknown[] = [];
    const transform = async (record: P2PRecord) => {
      called.push(record.at);
      await new Promise((resolve) => setTimeout(resolve, Number(record.at) % 7));
      return record;
    };
    await transfer(new ScriptedStore(records(200)), new ScriptedStore(), { transform, batchSize: 30 });
    expect(called).toEqual(Array.from({ length: 200 }, (_, at) => at));
  });

  it("that never settles for a record fails on that record after hookTimeout", async () => {
    const box = new LetterBox();
    const result = await transfer(new ScriptedStore(records(100)), new ScriptedStore(), {
      transform: async (record) => (Number(record.at) % 25 === 3 ? forever() : record),
      hookTimeout: 50,
      deadLetters: box,
    });
    expect(result).toMatchObject({ successCount: 96, failureCount: 4 });
    expect(box.letters.map(({ code, position }) => [code, position])).toEqual(
      [3, 28, 53, 78].map((position) => ["TRANSFORM_FAILED", position]),
    );
    expect(box.letters[0]!.reason).toContain("it did not settle within the hookTimeout of 50 ms");
  });

  it("that never settles can be cancelled", async () => {
    const start = performance.now();
    const error = await outcome(
      transfer(new ScriptedStore(records(100)), new ScriptedStore(), { transform: forever, transfer_timeout: 50 }),
    );
    expect(error?.code).toBe("TIMEOUT");
    expect(performance.now() - start).toBeLessThan(SOON);
  });
});

it.each([-1, 1.5, Number.NaN, 2 ** 31, "1"])("hookTimeout: %s is refused", async (hookTimeout) => {
  await expect(
    transfer(new ScriptedStore(), new ScriptedStore(), { hookTimeout: hookTimeout as number }),
  ).rejects.toMatchObject({ code: "INVALID_CONFIG", message: expect.stringContaining('"hookTimeout" must be') });
});
