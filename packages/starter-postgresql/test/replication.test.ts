/** A server that says nothing when a stream is to begin. */
import { afterEach, expect, it, vi } from "vitest";
import { openSlotStream, probeReplication } from "../src/changes/replication.ts";
import type { Connection } from "../src/client/connection.ts";
import type { PostgresqlStore } from "../src/client/store.ts";
import { calm, rejection } from "./support.ts";

afterEach(() => void vi.useRealTimers());

/** A connection that answers so many questions and then no more. */
function silentAfter(answers: number) {
  const destroy = vi.fn();
  let asked = 0;
  const connection = {
    isAlive: true,
    run: () => (asked++ < answers ? Promise.resolve([]) : new Promise<never>(() => {})),
    end: () => new Promise<never>(() => {}),
    destroy,
  } as unknown as Connection;
  const store = { label: "here", connectReplication: async () => connection } as unknown as PostgresqlStore;
  return { store, destroy };
}

it("waits for no answer for ever, and leaves no socket behind", async () => {
  vi.useFakeTimers();
  for (const answers of [0, 1, 2]) {
    const { store, destroy } = silentAfter(answers);
    const listener = { onMessage: () => {}, onKeepalive: () => {}, isFull: false };
    const failed = rejection(
      openSlotStream(store, { slot: "s", publication: "p", from: 0n, confirmed: 0n }, listener, calm),
    );
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await failed, `${answers}`).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
    expect(destroy, `${answers}`).toHaveBeenCalled();
  }
});

it("takes leave of a server that does not", async () => {
  vi.useFakeTimers();
  const { store, destroy } = silentAfter(2);
  const probed = probeReplication(store, calm);
  await vi.advanceTimersByTimeAsync(2000);
  await probed;
  expect(destroy).toHaveBeenCalledOnce();
});
