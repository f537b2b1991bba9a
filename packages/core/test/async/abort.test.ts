import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { onAbort, unlessAborted } from "../../src/starter.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

expectNoUnhandledRejections();

describe("unlessAborted", () => {
  it("is the work, as long as the signal does not abort", async () => {
    const { signal } = new AbortController();
    expect(await unlessAborted(Promise.resolve(5), signal)).toBe(5);
    await expect(unlessAborted(Promise.reject(new Error("no")), signal)).rejects.toThrow("no");
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("is the signal's reason from then on, and nobody hears what becomes of the work", async () => {
    const controller = new AbortController();
    const work = Promise.withResolvers<void>();
    const run = unlessAborted(work.promise, controller.signal);
    controller.abort(new Error("enough"));
    await expect(run).rejects.toThrow("enough");
    work.reject(new Error("late"));
    await expect(unlessAborted(Promise.reject(new Error("late")), controller.signal)).rejects.toThrow();
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });
});

describe("onAbort", () => {
  it("calls its listener once: when the signal aborts, or at once when it has", () => {
    const controller = new AbortController();
    let calls = 0;
    onAbort(controller.signal, () => calls++);
    expect(calls).toBe(0);
    controller.abort();
    expect(calls).toBe(1);
    onAbort(controller.signal, () => calls++);
    expect(calls).toBe(2);
  });

  it("leaves nothing on a signal that lasts", () => {
    const controller = new AbortController();
    const forget = onAbort(controller.signal, () => expect.unreachable());
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(1);
    forget();
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    controller.abort();
  });

  it("waits for ever where there is no signal", () => {
    onAbort(undefined, () => expect.unreachable())();
  });
});
