import { MemoryCheckpointStore, type TransferOptions } from "@omni/p2p-core";
import { boundService } from "@omni/p2p-core/engine";
import { type EndpointInfo, isP2PError, type P2PRecord, type StoreIdentity } from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { Bench, calm, rejection } from "../bench.ts";
import { sampleRecords } from "../sample-records.ts";
import { check, group, type Skip, type Suite } from "../suite.ts";
import { isKilled, killedAt, type Side, transferOnce } from "../transfer-bench.ts";
import { expectCode } from "./contract.ts";

const COUNT = 120;
const BATCH = 10;

/** What tells a store from another of its name, and that nothing is resumed or completed in the wrong one. */
export function identityChecks(suite: Suite): void {
  group("identity", () => {
    check(
      suite,
      "an identity stays through writes and opening anew, and another place has another",
      async (bench, skip) => {
        const [place, other] = [await bench.place(), await bench.place()];
        await bench.write(place, sampleRecords(3));
        await bench.write(other, sampleRecords(3));
        const first = await identityOf(bench, place, skip);
        await bench.write(place, sampleRecords(9));
        expect(await identityOf(bench, place, skip)).toEqual(first);
        expect(await identityOf(bench, place, skip, "target")).toEqual(first);
        if (first.thing === undefined) return;
        expect((await identityOf(bench, other, skip)).thing).not.toBe(first.thing);
      },
      ["replacing"],
    );

    check(suite, "a thing that is removed and made anew has another incarnation", async (bench, skip) => {
      const place = await bench.place();
      await bench.write(place, sampleRecords(3));
      const first = await identityOf(bench, place, skip);
      if (first.incarnation === undefined) skip("this store cannot tell one incarnation from the next");
      await removal(bench, place, skip)();
      await bench.write(place, sampleRecords(3));
      const second = await identityOf(bench, place, skip);
      expect(second.thing).toBe(first.thing);
      expect(second.incarnation).not.toBe(first.incarnation);
    });

    check(suite, "a store is not moved onto itself unasked", async (bench, skip) => {
      const place = await bench.place();
      await bench.write(place, sampleRecords(COUNT));
      const { thing } = await identityOf(bench, place, skip);
      if (thing === undefined) skip("this store cannot tell which one it is");
      const side = { bench, endpoint: place };
      expectCode(await rejection(transferOnce(side, side, {}), "a transfer onto itself"), "SAME_STORE");
      const allowed = await transferOnce(side, side, { allowSameStore: true, batchSize: BATCH });
      expect(allowed).toMatchObject({ successCount: COUNT, failureCount: 0 });
    });

    check(suite, "law 4, resume: a source that was made anew is not gone on with", async (bench, skip) => {
      const source = await filled(bench, skip);
      await withOther(suite, async (other) => {
        const target = { bench: other, endpoint: await other.place() };
        const options = await killed(source, target);
        await removal(bench, source.endpoint, skip)();
        await bench.write(source.endpoint, remade());
        await expectMismatch(source, target, options);
      });
    });

    check(suite, "law 4, resume: a target that was made anew is not gone on with", async (bench, skip) => {
      const target = await fresh(bench, skip);
      await withOther(suite, async (other) => {
        const source = await filled(other);
        const options = await killed(source, target);
        await removal(bench, target.endpoint, skip)();
        await bench.write(target.endpoint, remade().slice(0, 1));
        await expectMismatch(source, target, options);
      });
    });

    check(suite, "a transfer that was completed is not so any more when its target is gone", async (bench, skip) => {
      const target = await fresh(bench, skip);
      await withOther(suite, async (other) => {
        const source = await filled(other);
        const options = { transferId: "law-4", checkpoint: new MemoryCheckpointStore(), batchSize: BATCH };
        await transferOnce(source, target, options);
        expect(await transferOnce(source, target, { ...options, resume: true })).toMatchObject({ successCount: COUNT });
        await removal(bench, target.endpoint, skip)();
        await expectMismatch(source, target, { ...options, resume: true });
      });
    });

    check(suite, "a target that is removed during a transfer does not make it complete", async (bench, skip) => {
      const target = await fresh(bench, skip);
      const remove = removal(bench, target.endpoint, skip);
      await withOther(suite, async (other) => {
        const source = await filled(other);
        let writes = 0;
        const run = transferOnce(
          source,
          target,
          { batchSize: BATCH, concurrency: 1, maxFailures: "all" },
          {
            interpose: (service) => ({
              ...boundService(service),
              async writeToTarget(records, settings) {
                if (++writes === 9) await remove();
                return service.writeToTarget(records, settings);
              },
            }),
          },
        );
        const outcome = await run.catch((error: unknown) => error);
        if (isP2PError(outcome)) return;
        // What was written before is lost, and the result must not count it as there.
        const { successCount } = outcome as { successCount: number };
        expect(await bench.contents(target.endpoint)).toHaveLength(successCount);
      });
    });
  });
}

/** Other records under the ids of the sample. */
function remade(): P2PRecord[] {
  return sampleRecords(COUNT).map(({ id }) => ({ id, made: "anew" }));
}

async function identityOf(
  bench: Bench,
  place: EndpointInfo,
  skip: Skip,
  role: "source" | "target" = "source",
): Promise<StoreIdentity> {
  const service = await bench.open(place, role);
  const identity = await service.identity?.(calm());
  await service.close();
  return identity ?? skip("this adapter does not tell identities");
}

function removal(bench: Bench, place: EndpointInfo, skip: Skip): () => Promise<void> {
  return bench.removalOf(place) ?? skip("the adapter's test does not say how a place is removed");
}

async function fresh(bench: Bench, skip: Skip): Promise<Side> {
  const side = { bench, endpoint: await bench.place() };
  const service = await bench.open(side.endpoint, "target");
  const known = service.identity !== undefined;
  await service.close();
  return known ? side : skip("this adapter does not tell identities");
}

async function filled(bench: Bench, skip?: Skip): Promise<Side> {
  const side = { bench, endpoint: await bench.place() };
  await bench.write(side.endpoint, sampleRecords(COUNT));
  if (skip) await identityOf(bench, side.endpoint, skip);
  return side;
}

async function withOther(suite: Suite, run: (other: Bench) => Promise<void>): Promise<void> {
  const other = new Bench(suite.pair);
  try {
    await run(other);
  } finally {
    await other.release();
  }
}

/** Runs a transfer until it is killed in its middle; gives the options to go on with. */
async function killed(source: Side, target: Side): Promise<TransferOptions> {
  const options = { transferId: "law-4", checkpoint: new MemoryCheckpointStore(), batchSize: BATCH, concurrency: 1 };
  const run = transferOnce(source, target, options, { interpose: killedAt(6, "before", () => {}) });
  const error = await rejection(run, "a killed transfer");
  if (!isKilled(error)) throw error;
  return { ...options, resume: true };
}

async function expectMismatch(source: Side, target: Side, options: TransferOptions): Promise<void> {
  expectCode(
    await rejection(transferOnce(source, target, options), "resuming in another store"),
    "CHECKPOINT_MISMATCH",
  );
}
