import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { TaggedValue } from "../src/index.ts";
import { estimateBytes, unlessAborted } from "../src/starter.ts";
import { expectNoUnhandledRejections } from "./support/transferring.ts";

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

describe("estimateBytes", () => {
  it("grows with what a value holds", () => {
    expect(estimateBytes("x".repeat(1000))).toBeGreaterThanOrEqual(1000);
    expect(estimateBytes(new Uint8Array(1000))).toBeGreaterThanOrEqual(1000);
    expect(
      estimateBytes({ a: ["x".repeat(500), { b: new TaggedValue("a:b", "x".repeat(500)) }] }),
    ).toBeGreaterThanOrEqual(1000);
    for (const value of [null, 1, 1n, true, undefined, new Date(), "", []])
      expect(estimateBytes(value)).toBeGreaterThan(0);
  });
});
