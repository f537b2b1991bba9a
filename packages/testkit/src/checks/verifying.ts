import { DefaultP2PConnectionManager, type VerifyResult } from "@omni/p2p-core";
import {
  type EndpointInfo,
  idKey,
  type P2PQuery,
  type P2PStarter,
  type RecordBatch,
  recordTrouble,
} from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { assertAllWritten, Bench, readBatches, write } from "../bench.ts";
import { sampleRecords } from "../sample-records.ts";
import { check, group, type Suite } from "../suite.ts";

const COUNT = 80;

/** That the core's `verify` tells equal places from different ones, and that what batches vouch for is so. */
export function verifyingChecks(suite: Suite): void {
  const [own, other] = [suite.adapter.starter, suite.pair.starter];

  group("verifying", () => {
    check(suite, "verify finds two places equal that hold the same records", async (bench) => {
      const [first, second] = [await filled(bench), await filled(bench)];
      expect(await verified([own], first, second)).toMatchObject({
        ...{ equal: true, sourceCount: COUNT, targetCount: COUNT },
        ...{ missing: 0, extra: 0, different: 0, unreadable: 0 },
      });
      // Records that are equal as they are need not be brought into a form; others must always get the same one.
      const source = await bench.open(first, "source");
      for (const record of sampleRecords(COUNT))
        expect(source.comparable?.(record)).toEqual(source.comparable?.(record));
    });

    check(
      suite,
      "verify finds each kind of difference between two places",
      async (bench) => {
        const [first, second] = [await filled(bench), await filled(bench)];
        const records = sampleRecords(COUNT + 4);
        const target = await bench.open(second, "target");
        const changed = [{ ...records[3]!, position: -3 }, { id: records[7]!.id }];
        assertAllWritten(await write(target, [...changed, ...records.slice(COUNT)]));
        await bench.write(first, [{ id: "only here" }, { id: "here alone", n: 1 }]);
        const result = await verified([own], first, second);
        expect(result).toMatchObject({ equal: false, missing: 2, extra: 4, different: 2, unreadable: 0 });
        expect(result.differences.map(({ id }) => id).sort()).toEqual(
          [
            ...["only here", "here alone"],
            ...[3, 7, COUNT, COUNT + 1, COUNT + 2, COUNT + 3].map((i) => String(records[i]!.id)),
          ].sort(),
        );
        const part: P2PQuery = { where: { position: { gte: 8, lt: COUNT } } };
        expect(await verified([own], first, second, part)).toMatchObject({ equal: true, sourceCount: COUNT - 8 });
      },
      ["replacing"],
    );

    check(
      suite,
      `verify finds a place and one of ${other.storageType} equal, and tells when they are not`,
      async (bench, skip) => {
        if (other.storageType === own.storageType) skip("the other end is a store of the same type");
        const pair = new Bench(suite.pair);
        try {
          const [first, second] = [await filled(bench), await filled(pair)];
          for (const [from, to] of [
            [first, second],
            [second, first],
          ] as const) {
            expect(await verified([own, other], from, to)).toMatchObject({ equal: true, sourceCount: COUNT });
          }
          await pair.write(second, [{ ...sampleRecords(1)[0]!, title: "another" }]);
          expect(await verified([own, other], first, second)).toMatchObject({ equal: false, different: 1, missing: 0 });
        } finally {
          await pair.release();
        }
      },
    );

    check(suite, "what a batch vouches for is so: valid records, and no two ids of one text", async (bench) => {
      const ids = suite.lacks.has("typed ids")
        ? ["1", "2", "01", "a"]
        : [1, "2", 3n, "01", "1.0", "a", true, new Date(0)];
      const alike = suite.lacks.has("one identity") && !suite.lacks.has("typed ids") ? ["1", 2] : [];
      const { source } = await bench.filled([...sampleRecords(40), ...[...ids, ...alike].map((id, n) => ({ id, n }))]);
      const orders: P2PQuery[] = suite.lacks.has("sorting") ? [] : [{ orderBy: "position" }];
      for (const query of [{}, { fields: ["title"] }, { where: { n: { gte: 0 } } }, ...orders])
        assertVouched(await readBatches(source, query, { batchSize: 7 }));
    });
  });
}

async function filled(bench: Bench): Promise<EndpointInfo> {
  const place = await bench.place();
  await bench.write(place, sampleRecords(COUNT));
  return place;
}

async function verified(
  starters: readonly P2PStarter[],
  source: EndpointInfo,
  target: EndpointInfo,
  query: P2PQuery = {},
): Promise<VerifyResult> {
  await using manager = new DefaultP2PConnectionManager();
  for (const starter of starters) manager.registerService(starter.storageType, starter);
  const { connectionId } = await manager.establish(source, target);
  return await manager.verify(connectionId, query);
}

function assertVouched(batches: readonly RecordBatch[]): void {
  const times = new Map<string, number>();
  for (const { records } of batches) {
    for (const { id } of records) times.set(idKey(id), (times.get(idKey(id)) ?? 0) + 1);
  }
  for (const { records, valid, distinct } of batches) {
    for (const record of records) {
      if (valid)
        expect(
          recordTrouble(record),
          `of ${idKey(record.id)}, in a batch that is vouched for as valid`,
        ).toBeUndefined();
      if (distinct)
        expect(
          times.get(idKey(record.id)),
          `records of the id ${idKey(record.id)}, in a batch that is vouched for as distinct`,
        ).toBe(1);
    }
  }
}
