import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { P2PError } from "../../src/index.ts";
import { backoff, type RetryPolicy } from "../../src/transfer/retry.ts";
import { busy, lost, records, refused, ScriptedStore, withFailures } from "../support/scripted-store.ts";
import { ending, expectNoUnhandledRejections, LetterBox, transfer } from "../support/transferring.ts";

const policy: RetryPolicy = {
  maxRetries: 3,
  retryDelay: 100,
  maxRetryDelay: 10_000,
  autoReconnect: true,
  reconnectTimeout: 60_000,
};

expectNoUnhandledRejections();

describe("the wait before a retry", () => {
  it("is drawn at random from nothing to a ceiling that doubles up to a bound", () => {
    const ceilings = [0, 1, 2, 6, 7, 8, 100, 1e9].map((attempt) =>
      backoff(policy, attempt, 0, () => 1 - Number.EPSILON),
    );
    expect(ceilings).toEqual([99, 199, 399, 6399, 9999, 9999, 9999, 9999]);
    expect(backoff(policy, 5, 0, () => 0)).toBe(0);
    fc.assert(
      fc.property(
        fc.nat({ max: 60 }),
        fc.nat({ max: 1e6 }),
        fc.nat({ max: 1e6 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempt, retryDelay, maxRetryDelay, draw) => {
          const wait = backoff({ ...policy, retryDelay, maxRetryDelay }, attempt, 0, () => draw);
          expect(wait).toBeGreaterThanOrEqual(0);
          expect(wait).toBeLessThanOrEqual(Math.min(maxRetryDelay, retryDelay * 2 ** attempt));
          expect(Number.isInteger(wait)).toBe(true);
        },
      ),
    );
  });

  it("fills its range evenly", () => {
    const waits = Array.from({ length: 4000 }, () => backoff(policy, 3));
    const mean = waits.reduce((a, b) => a + b) / waits.length;
    expect(mean).toBeGreaterThan(370);
    expect(mean).toBeLessThan(430);
    expect(Math.min(...waits)).toBeLessThan(40);
    expect(Math.max(...waits)).toBeGreaterThan(760);
  });

  it("is never shorter than the store asked for, nor longer than a timer can be", () => {
    expect(backoff(policy, 0, 5000, () => 0.9)).toBe(5000);
    expect(backoff(policy, 9, 5, () => 0.9)).toBe(9000);
    expect(backoff(policy, 0, 1e12)).toBe(2 ** 31 - 1);
  });
});

describe("what a target refuses for the moment", () => {
  it("is sent again, and only that", async () => {
    const target = new ScriptedStore([], {
      write: (call) =>
        withFailures(call, ({ at }) => (call.number < 2 && (at as number) % 3 === 0 ? busy() : undefined)),
    });
    const result = await transfer(new ScriptedStore(records(10)), target, { batchSize: 10 });
    expect(target.sent.map((sent) => sent.map(({ at }) => at))).toEqual([
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      [0, 3, 6, 9],
      [0, 3, 6, 9],
    ]);
    expect(result).toMatchObject({ totalRecords: 10, successCount: 10, failureCount: 0, retryCount: 8 });
  });

  it("is a failure after max_retries, with the number of tries", async () => {
    const box = new LetterBox();
    const target = new ScriptedStore([], {
      write: (call) => withFailures(call, ({ at }) => (at === 1 ? busy() : at === 2 ? refused() : undefined)),
    });
    const result = await transfer(new ScriptedStore(records(4)), target, { maxRetries: 2, deadLetters: box });
    expect(target.sent.map((sent) => sent.length)).toEqual([4, 1, 1]);
    expect(box.letters.map(({ id, code, attempts }) => [id, code, attempts])).toEqual([
      ["r00001", "BUSY", 3],
      ["r00002", "TYPE_MISMATCH", 1],
    ]);
    expect(result).toMatchObject({ successCount: 2, failureCount: 2, retryCount: 2 });
  });

  it("is not sent again with max_retries 0", async () => {
    const target = new ScriptedStore([], { write: (call) => withFailures(call, () => busy()) });
    const result = await transfer(new ScriptedStore(records(3)), target, { max_retries: 0 });
    expect(target.sent).toHaveLength(1);
    expect(result).toMatchObject({ failureCount: 3, retryCount: 0 });
  });

  it("is sent again no sooner than the store asked for", async () => {
    const target = new ScriptedStore([], {
      write: (call) =>
        withFailures(call, ({ at }) => (call.number > 0 ? undefined : at === 0 ? busy() : busy({ retryAfterMs: 80 }))),
    });
    await transfer(new ScriptedStore(records(2)), target, { retryDelay: 0 });
    expect(target.sentAt[1]! - target.sentAt[0]!).toBeGreaterThanOrEqual(79);
  });

  it("is sent again when the whole call failed", async () => {
    const target = new ScriptedStore([], {
      write: (call) => {
        if (call.number < 3) throw busy();
        return call.apply();
      },
    });
    const result = await transfer(new ScriptedStore(records(5)), target);
    expect(target.sent.map((sent) => sent.length)).toEqual([5, 5, 5, 5]);
    expect(result).toMatchObject({ successCount: 5, retryCount: 15 });
  });

  it("ends the transfer when the whole call keeps failing", async () => {
    const target = new ScriptedStore([], {
      write: (call) => {
        if (call.records[0]!.at !== 0) throw busy();
        return call.apply();
      },
    });
    const error = await ending(
      transfer(new ScriptedStore(records(4)), target, { batchSize: 2, concurrency: 1, maxRetries: 2 }),
    );
    expect(error).toMatchObject({ code: "BUSY", retryable: true, message: "come back later" });
    expect(error.result).toMatchObject({ totalRecords: 2, successCount: 2, failureCount: 0 });
    expect(target.sent).toHaveLength(4);
  });
});

describe("what a target refuses for good", () => {
  it("ends the transfer at once when it is the whole call", async () => {
    const target = new ScriptedStore([], {
      write: () => {
        throw new P2PError("TARGET_NOT_WRITABLE", "it is read-only");
      },
    });
    const startedAt = performance.now();
    const error = await ending(transfer(new ScriptedStore(records(10)), target, { batchSize: 1 }));
    expect(error).toMatchObject({
      code: "TARGET_NOT_WRITABLE",
      message: "it is read-only",
      result: { totalRecords: 0 },
    });
    expect(performance.now() - startedAt, "it does not wait for writes that can never be entered").toBeLessThan(500);
    expect(target.sent.length).toBeLessThanOrEqual(4);
  });

  it("ends it soon also while other writes are under way, and those are entered", async () => {
    const target: ScriptedStore = new ScriptedStore([], {
      write: async (call) => {
        const at = call.records[0]!.at as number;
        await new Promise((resolve) => setTimeout(resolve, [40, 30, 15, 5][at]));
        if (at === 2) throw refused("STORAGE_FULL");
        return call.apply();
      },
    });
    const startedAt = performance.now();
    const error = await ending(transfer(new ScriptedStore(records(10)), target, { batchSize: 1, concurrency: 4 }));
    expect(error).toMatchObject({ code: "STORAGE_FULL", result: { totalRecords: 2, checkpoint: { recordsRead: 2 } } });
    expect(performance.now() - startedAt).toBeLessThan(500);
  });

  it("is wrapped when it is no P2PError, and never sent again", async () => {
    const thrown = new TypeError("cannot read properties of undefined");
    const target = new ScriptedStore([], {
      write: () => {
        throw thrown;
      },
    });
    const error = await ending(transfer(new ScriptedStore(records(1)), target));
    expect(error).toMatchObject({
      name: "P2PTransferError",
      code: "WRITE_FAILED",
      message: "The transfer failed: cannot read properties of undefined",
      retryable: false,
      cause: { name: "TypeError" },
    });
    expect(target.sent).toHaveLength(1);
  });
});

describe("a source that fails", () => {
  it("for the moment is read on from the last cursor", async () => {
    const source = new ScriptedStore(records(10), {
      read: ({ from }) => {
        if (from === 4 && source.reads < 3) throw busy();
      },
    });
    const target = new ScriptedStore();
    const result = await transfer(source, target, { batchSize: 2 });
    expect(result).toMatchObject({ totalRecords: 10, successCount: 10, retryCount: 0 });
    expect(target.sent.flat().map(({ at }) => at)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(source.readOptions.map(({ after }) => after)).toEqual([undefined, 4, 4]);
  });

  it("for the moment keeps the query's offset and limit", async () => {
    let failures = 0;
    const source = new ScriptedStore(records(20), {
      read: ({ from }) => {
        if ((from === 3 || from === 9) && failures++ % 2 === 0) throw busy();
      },
    });
    const target = new ScriptedStore();
    const result = await transfer(source, target, { batchSize: 3 }, { query: { offset: 3, limit: 10 } });
    expect(result.totalRecords).toBe(10);
    expect(target.sent.flat().map(({ at }) => at)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  it("has max_retries again after each batch", async () => {
    const failed = new Map<number, number>();
    const source = new ScriptedStore(records(6), {
      read: ({ from }) => {
        const times = failed.get(from) ?? 0;
        failed.set(from, times + 1);
        if (times < 2) throw busy();
      },
    });
    const result = await transfer(source, new ScriptedStore(), { batchSize: 1, maxRetries: 2 });
    expect(result.successCount).toBe(6);
  });

  it("for good ends the transfer with what was done", async () => {
    const source = new ScriptedStore(records(10), {
      read: ({ from }) => {
        if (from === 4) throw new Error("the disk is bad");
      },
    });
    const target = new ScriptedStore();
    const error = await ending(transfer(source, target, { batchSize: 2 }));
    expect(error).toMatchObject({ code: "READ_FAILED", message: "The source could not be read on: the disk is bad" });
    expect(error.result).toMatchObject({
      totalRecords: 4,
      successCount: 4,
      checkpoint: { cursor: 4, recordsRead: 4, status: "running" },
    });
    expect(target.content.size).toBe(4);
  });

  it("without its table or collection is an error, never an empty result", async () => {
    const source = new ScriptedStore(records(1), {
      read: () => {
        throw new P2PError("SOURCE_NOT_FOUND", "There is no table docs");
      },
    });
    expect(await ending(transfer(source, new ScriptedStore()))).toMatchObject({
      code: "SOURCE_NOT_FOUND",
      result: { totalRecords: 0 },
    });
  });
});

describe("a store that goes away in the middle", () => {
  const awayFor = (ms: number) => {
    let since: number | undefined;
    return (call: { readonly number: number }) => {
      if (call.number < 2) return;
      since ??= performance.now();
      if (performance.now() - since < ms) throw lost();
    };
  };

  it("costs time, not data, with auto_reconnect", async () => {
    const away = awayFor(60);
    const target = new ScriptedStore([], {
      write: (call) => {
        away(call);
        return call.apply();
      },
    });
    const result = await transfer(new ScriptedStore(records(20)), target, {
      batchSize: 2,
      concurrency: 2,
      maxRetries: 0,
    });
    expect(result).toMatchObject({ successCount: 20, failureCount: 0 });
    expect(target.content.size).toBe(20);
  });

  it("costs time on the side of the source as well", async () => {
    const source = new ScriptedStore(records(20), { read: awayFor(60) });
    const target = new ScriptedStore();
    const result = await transfer(source, target, { batchSize: 2, maxRetries: 0 });
    expect(result).toMatchObject({ successCount: 20, failureCount: 0, totalRecords: 20 });
    expect(target.sent.flat()).toHaveLength(20);
  });

  it("and is busy when it is back has max_retries for that alone", async () => {
    const target = new ScriptedStore([], {
      write: (call) => {
        if (call.number < 6) throw lost();
        if (call.number < 8) throw busy();
        return call.apply();
      },
    });
    const result = await transfer(new ScriptedStore(records(2)), target, { maxRetries: 2 });
    expect(result.successCount).toBe(2);
  });

  it("ends the transfer at once without auto_reconnect", async () => {
    const away = awayFor(1e9);
    const target = new ScriptedStore([], {
      write: (call) => {
        away(call);
        return call.apply();
      },
    });
    const error = await ending(
      transfer(new ScriptedStore(records(20)), target, { batchSize: 2, concurrency: 1, auto_reconnect: false }),
    );
    expect(error).toMatchObject({ code: "CONNECTION_LOST", retryable: true, result: { successCount: 4 } });
    expect(target.sent).toHaveLength(3);
  });

  it("ends the transfer after reconnect_timeout", async () => {
    const target = new ScriptedStore([], {
      write: () => {
        throw lost();
      },
    });
    const startedAt = performance.now();
    const error = await ending(
      transfer(new ScriptedStore(records(20)), target, { batchSize: 5, reconnect_timeout: 80 }),
    );
    expect(error.code).toBe("CONNECTION_LOST");
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(79);
    expect(performance.now() - startedAt).toBeLessThan(1500);
  });

  it("ends the transfer when it was told record by record, too: no record is to blame", async () => {
    const box = new LetterBox();
    const target = new ScriptedStore([], {
      write: (call) => withFailures(call, ({ at }) => ((at as number) > 2 ? lost() : undefined)),
    });
    const error = await ending(
      transfer(new ScriptedStore(records(6)), target, { batchSize: 6, autoReconnect: false, deadLetters: box }),
    );
    expect(error).toMatchObject({ code: "CONNECTION_LOST", result: { failureCount: 0, totalRecords: 0 } });
    expect(box.letters).toEqual([]);
  });

  it("is not waited for when its password is wrong", async () => {
    const target = new ScriptedStore([], {
      write: () => {
        throw new P2PError("AUTHENTICATION_FAILED", "wrong password");
      },
    });
    expect(await ending(transfer(new ScriptedStore(records(2)), target))).toMatchObject({
      code: "AUTHENTICATION_FAILED",
    });
    expect(target.sent).toHaveLength(1);
  });
});

describe("an adapter that loses count", () => {
  const failure = (index: number) => ({ index, id: "x", error: refused() });

  it.each([
    ["of what it wrote", { written: 3, skipped: 0, failures: [] }],
    ["of what it skipped", { written: 4, skipped: 2, failures: [] }],
    ["of one failure twice", { written: 3, skipped: 0, failures: [failure(1), failure(1)] }],
    ["of failures that there are not", { written: 4, skipped: 0, failures: [failure(5)] }],
    ["of places", { written: 4, skipped: 0, failures: [failure(Number.NaN)] }],
  ])("%s ends the transfer, so that nothing is lost in silence", async (_, result) => {
    const target = new ScriptedStore([], { write: () => result });
    const error = await ending(transfer(new ScriptedStore(records(5)), target));
    expect(error).toMatchObject({ code: "WRITE_FAILED", result: { totalRecords: 0 } });
    expect(error.message).toMatch(/^The target's adapter was given 5 records and accounts for /);
  });
});
