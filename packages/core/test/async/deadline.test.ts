import { getActiveResourcesInfo } from "node:process";
import { describe, expect, it } from "vitest";
import { endsWithin, sleep, unlessLate, withDeadline } from "../../src/starter.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

expectNoUnhandledRejections();

const never = new Promise<never>(() => {});
const late = () => new Error("too late");

function timers(): number {
  return getActiveResourcesInfo().filter((name) => name === "Timeout").length;
}

describe("unlessLate", () => {
  it("is the work where that is in time, and leaves no timer", async () => {
    const before = timers();
    expect(await unlessLate(Promise.resolve(5), 10_000, late)).toBe(5);
    await expect(unlessLate(Promise.reject(new Error("no")), 10_000, late)).rejects.toThrow("no");
    expect(timers()).toBe(before);
  });

  it("is the error of the deadline else, and nobody hears what becomes of the work", async () => {
    const work = Promise.withResolvers<void>();
    await expect(unlessLate(work.promise, 5, late)).rejects.toThrow("too late");
    work.reject(new Error("after all"));
  });

  it("takes a deadline beyond the longest timer for one that never comes", async () => {
    for (const ms of [Number.POSITIVE_INFINITY, 2 ** 40]) expect(await unlessLate(sleep(20), ms, late)).toBeUndefined();
  });

  it("takes a time that is over for a deadline that is now", async () => {
    await expect(unlessLate(never, -5, late)).rejects.toThrow("too late");
  });
});

describe("withDeadline", () => {
  it("gives the work a signal that aborts with the error of the deadline", async () => {
    let reason: unknown;
    const work = (signal: AbortSignal) =>
      new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => {
          reason = signal.reason;
          reject(new Error("the work's own"));
        });
      });
    await expect(withDeadline(5, undefined, late, work)).rejects.toThrow("too late");
    expect(reason).toMatchObject({ message: "too late" });
  });

  it("gives it one that aborts with the caller's own, and fails with its reason", async () => {
    const caller = new AbortController();
    let aborted = false;
    const run = withDeadline(10_000, caller.signal, late, async (signal) => {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      return never;
    });
    caller.abort(new Error("enough"));
    await expect(run).rejects.toThrow("enough");
    expect(aborted).toBe(true);
    await expect(withDeadline(10, caller.signal, late, async () => expect.unreachable())).rejects.toThrow("enough");
  });

  it("leaves work behind that heeds nothing", async () => {
    await expect(withDeadline(5, undefined, late, () => never)).rejects.toThrow("too late");
  });

  it("is the work where that is in time, its error as it is", async () => {
    const before = timers();
    expect(await withDeadline(10_000, undefined, late, async () => 5)).toBe(5);
    await expect(withDeadline(10_000, undefined, late, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    const failing = () => {
      throw new Error("at once");
    };
    await expect(withDeadline(10_000, undefined, late, failing)).rejects.toThrow("at once");
    expect(timers()).toBe(before);
  });
});

describe("endsWithin", () => {
  it("tells whether the work has ended in time, well or not", async () => {
    const before = timers();
    expect(await endsWithin(Promise.resolve(), 10_000)).toBe(true);
    expect(await endsWithin(Promise.reject(new Error("no")), 10_000)).toBe(true);
    expect(timers()).toBe(before);
    expect(await endsWithin(never, 5)).toBe(false);
  });
});

describe("sleep", () => {
  it("waits, and rejects with the signal's own reason when it aborts", async () => {
    const from = performance.now();
    await sleep(20);
    expect(performance.now() - from).toBeGreaterThan(15);
    const controller = new AbortController();
    const run = sleep(10_000, controller.signal);
    controller.abort(new Error("enough"));
    await expect(run).rejects.toThrow("enough");
    await expect(sleep(10_000, controller.signal)).rejects.toThrow("enough");
  });
});
