import { describe, expect, it } from "vitest";
import { TokenBucket } from "../../src/async/token-bucket.ts";

const never = new AbortController().signal;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

describe("a token bucket", () => {
  it("lets the first one through at once, of any size, and the next one when that is paid for", async () => {
    const bucket = new TokenBucket(1000);
    expect(await timed(() => bucket.take(400, never))).toBeLessThan(150);
    // 100 of them were there.
    expect(await timed(() => bucket.take(1, never))).toBeGreaterThan(250);
  });

  it("holds all that take of it side by side to one rate, in the order in which they came", async () => {
    const bucket = new TokenBucket(2000);
    const order: number[] = [];
    const took = await timed(() =>
      Promise.all([1, 2, 3, 4, 5, 6].map((one) => bucket.take(200, never).then(() => order.push(one)))),
    );
    expect(order).toEqual([1, 2, 3, 4, 5, 6]);
    // Six of 200, of which the last is on credit and 200 were there.
    expect(took).toBeGreaterThan(380);
  });

  it("is left by whoever is called off, who takes nothing, and the others go on", async () => {
    const bucket = new TokenBucket(1000);
    await bucket.take(600, never);
    const abort = new AbortController();
    const off = bucket.take(100_000, abort.signal);
    const next = bucket.take(1, never);
    setTimeout(() => abort.abort(new Error("called off")), 20);
    expect(await timed(() => expect(off).rejects.toThrow("called off"))).toBeLessThan(300);
    expect(await timed(() => next)).toBeLessThan(5000);
    await expect(bucket.take(1, AbortSignal.abort(new Error("before")))).rejects.toThrow("before");
  });
});
