import type { P2PQuery } from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { begin, calm, readBatches, readRecords, rejection, within } from "../bench.ts";
import { sampleRecords } from "../sample-records.ts";
import { check, group, queryText, type Suite, shared } from "../suite.ts";

/** The time in which a call whose signal aborts must be over, in milliseconds. */
export const SOON_MS = 2000;
const COUNT = 300;

/** The signal is honoured everywhere. */
export function abortingChecks(suite: Suite): void {
  group("aborting", () => {
    const records = sampleRecords(COUNT);
    const place = shared(suite, (bench) => bench.filled(records));

    check(suite, "an aborted signal stops opening", async (bench) => {
      const reason = new Error("given up");
      const opening = bench.open(place().endpoint, "source", AbortSignal.abort(reason));
      await within(SOON_MS, "open with an aborted signal", rejection(opening, "open with an aborted signal"));
    });

    check(suite, "an aborted signal stops reading before the first batch", async () => {
      const queries: P2PQuery[] = [{}, { where: { flag: true } }, { where: { id: "no such id" } }, { limit: 1 }];
      for (const query of queries) {
        // One batch holds everything, so an adapter that looks at the signal only between batches shows itself.
        await expectAbort(`readFromSource of ${queryText(query)}`, (signal) =>
          readBatches(place().source, query, { signal, batchSize: COUNT * 2 }),
        );
      }
    });

    check(suite, "an aborted signal stops count, partitions and ping", async () => {
      const { source } = place();
      await expectAbort("count", (signal) => source.count({}, signal));
      await expectAbort("partitions", (signal) => source.partitions({}, 3, signal));
      await expectAbort("ping", (signal) => source.ping(signal));
    });

    check(suite, "an aborted signal stops writing, and nothing of the batch is written", async (bench) => {
      const fresh = await bench.place();
      await bench.write(fresh, [{ id: "there" }]);
      const target = await bench.open(fresh, "target");
      await expectAbort("writeToTarget", (signal) => target.writeToTarget(records, { mode: "upsert", signal }));
      expect(await bench.contents(fresh)).toHaveLength(1);
    });

    check(suite, "aborting between two batches stops reading", async () => {
      const { source } = place();
      for (const query of [{}, { where: { position: { gte: 0 } } }]) {
        const controller = new AbortController();
        const reason = new Error("enough");
        const batches = source.readFromSource(query, { batchSize: 10, signal: controller.signal });
        const iterator = batches[Symbol.asyncIterator]();
        expect((await iterator.next()).done).toBe(false);
        controller.abort(reason);
        const error = await within(SOON_MS, "the next batch", rejection(drain(iterator), "reading on after an abort"));
        expect(error, "the signal's reason").toBe(reason);
      }
      expect(await readRecords(source)).toHaveLength(COUNT);
    });

    check(suite, "aborting while a batch is on its way ends reading soon", async () => {
      const { source } = place();
      const controller = new AbortController();
      const reason = new Error("enough");
      const reading = readBatches(source, {}, { batchSize: 1, signal: controller.signal });
      setTimeout(() => controller.abort(reason), 1);
      await within(SOON_MS, "reading after an abort", settledWith(reading, reason));
    });

    check(suite, "aborting in the middle of a write ends it soon, and leaves the target usable", async (bench) => {
      const fresh = await bench.place();
      const target = await bench.open(fresh, "target");
      const controller = new AbortController();
      const reason = new Error("enough");
      await begin(target);
      const writing = target.writeToTarget(records, { mode: "upsert", signal: controller.signal });
      setTimeout(() => controller.abort(reason), 1);
      const finished = await within(SOON_MS, "a write after an abort", settledWith(writing, reason));
      const left = (await contentsIfAny(() => bench.contents(fresh))).length;
      // Nothing is seen of a target before it is finished.
      if (target.sequential) expect(left).toBe(0);
      else if (finished) expect(left).toBe(COUNT);
      else if (target.capabilities.atomicBatches) expect([0, COUNT], "records of an atomic batch").toContain(left);
      await begin(target);
      const after = await target.writeToTarget(records, { mode: "upsert", signal: calm() });
      await target.sequential?.finish(calm());
      expect(after.written).toBe(COUNT);
      expect(await bench.contents(fresh)).toHaveLength(COUNT);
    });
  });
}

/** A call whose signal has aborted already is rejected soon, with the signal's reason. */
export async function expectAbort(what: string, run: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const reason = new Error("enough");
  const error = await within(
    SOON_MS,
    what,
    rejection(run(AbortSignal.abort(reason)), `${what} with an aborted signal`),
  );
  expect(error, `what ${what} is rejected with`).toBe(reason);
}

/** Whether it was done before the abort; otherwise it must have been rejected with the reason. */
export async function settledWith(promise: Promise<unknown>, reason: Error): Promise<boolean> {
  try {
    await promise;
    return true;
  } catch (error) {
    expect(error, "the signal's reason").toBe(reason);
    return false;
  }
}

async function drain(iterator: AsyncIterator<unknown>): Promise<void> {
  while (!(await iterator.next()).done);
}

/** What is in a place that an aborted write may or may not have made. */
async function contentsIfAny<T>(read: () => Promise<T[]>): Promise<T[]> {
  try {
    return await read();
  } catch (error) {
    if ((error as { code?: unknown }).code === "SOURCE_NOT_FOUND") return [];
    throw error;
  }
}
