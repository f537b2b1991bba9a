import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { Semaphore } from "../../src/async/semaphore.ts";
import { sleep } from "../../src/starter.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

expectNoUnhandledRejections();

const { signal } = new AbortController();

describe("Semaphore", () => {
  it("lets so many in at a time, in the order in which they came", async () => {
    const semaphore = new Semaphore(2);
    const order: number[] = [];
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        semaphore.run(signal, async () => {
          order.push(i);
          most = Math.max(most, ++inside);
          await sleep(1);
          inside--;
        }),
      ),
    );
    expect(most).toBe(2);
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order).toHaveLength(10);
  });

  it("takes a permit without waiting, if one is free", () => {
    const semaphore = new Semaphore(1);
    expect(semaphore.tryAcquire()).toBe(true);
    expect(semaphore.tryAcquire()).toBe(false);
    semaphore.release();
    expect(semaphore.tryAcquire()).toBe(true);
  });

  it("gives the permit back when the work fails", async () => {
    const semaphore = new Semaphore(1);
    await expect(semaphore.run(signal, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(semaphore.tryAcquire()).toBe(true);
  });

  it("lets one who gives up leave the queue, and loses no permit by it", async () => {
    const semaphore = new Semaphore(1);
    await semaphore.acquire(signal);
    const controller = new AbortController();
    const [impatient, patient] = [semaphore.acquire(controller.signal), semaphore.acquire(signal)];
    controller.abort(new Error("enough"));
    await expect(impatient).rejects.toThrow("enough");
    semaphore.release();
    await patient;
    expect(semaphore.tryAcquire()).toBe(false);
    semaphore.release();
    expect(semaphore.tryAcquire()).toBe(true);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  it("gives the permit to one who aborts just after being served", async () => {
    const semaphore = new Semaphore(1);
    await semaphore.acquire(signal);
    const controller = new AbortController();
    const waiting = semaphore.acquire(controller.signal);
    semaphore.release();
    controller.abort(new Error("too late to leave"));
    await waiting;
    expect(semaphore.tryAcquire()).toBe(false);
  });

  it("ends the waiting with the error of its deadline", async () => {
    const semaphore = new Semaphore(1);
    await semaphore.acquire(signal);
    const deadline = { ms: 5, late: () => new Error("too late") };
    await expect(semaphore.acquire(signal, deadline)).rejects.toThrow("too late");
    semaphore.release();
    expect(semaphore.tryAcquire()).toBe(true);
  });

  it("does not begin what is told to end already", async () => {
    await expect(new Semaphore(1).run(AbortSignal.abort(new Error("ended")), async () => {})).rejects.toThrow("ended");
  });
});
