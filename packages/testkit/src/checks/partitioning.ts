import type { P2PDataTransferService, P2PQuery } from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { expect } from "vitest";
import { calm, readRecords } from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import { overWire } from "../over-wire.ts";
import { sampleRecords } from "../sample-records.ts";
import { check, group, queryText, type Suite, shared } from "../suite.ts";

const COUNT = 41;
const MOST_PARTS = 9;

/** Reading in parts. */
export function partitionChecks(suite: Suite): void {
  group("partitions", () => {
    const records = sampleRecords(COUNT);
    const place = shared(suite, (bench) => bench.filled(records));

    check(suite, "law 7, partition: parts are disjoint and cover the query, for any query and number", async () => {
      const queries = fc.record(
        {
          where: fc.constantFrom<NonNullable<P2PQuery["where"]>>(
            { flag: true },
            { position: { gte: 10, lt: 30 } },
            { id: { gt: "record-0000020" } },
            { id: "no such id" },
          ),
          fields: fc.constantFrom(["title"], ["position", "tagged"]),
          limit: fc.constantFrom(1, 10, 1000),
          offset: fc.constantFrom(0, 5),
        },
        { requiredKeys: [] },
      );
      await fc.assert(
        fc.asyncProperty(queries, fc.integer({ min: 1, max: MOST_PARTS }), async (query, parts) => {
          await assertParts(place().source, query, parts);
        }),
        { numRuns: suite.numRuns * 2, ...(suite.seed === undefined ? {} : { seed: suite.seed }) },
      );
    });

    check(suite, "law 7, partition: the whole store in 1 to 9 parts, and in more parts than records", async () => {
      for (const parts of [1, 2, 3, 5, MOST_PARTS, COUNT + 3]) await assertParts(place().source, {}, parts);
    });

    check(suite, "a partitionable store gives more than one part", async (_, skip) => {
      const { source } = place();
      if (!source.capabilities.partitionable) skip("capabilities.partitionable is false");
      const parts = await source.partitions({}, 4, calm());
      expect(parts.length).toBeGreaterThan(1);
    });

    check(suite, "parts can be read at the same time", async (bench) => {
      const { endpoint, source } = place();
      const parts = await source.partitions({}, 3, calm());
      const read = await Promise.all(
        parts.map(async (part) => {
          const reader = source.capabilities.shareable ? source : await bench.open(endpoint, "source");
          return readRecords(reader, part, { batchSize: 5 });
        }),
      );
      assertSameRecords(read.flat(), records);
    });
  });
}

async function assertParts(source: P2PDataTransferService, query: P2PQuery, parts: number): Promise<void> {
  const context = `${queryText(query)} in ${parts} parts`;
  const queries = await source.partitions(query, parts, calm());
  expect(queries.length, context).toBeGreaterThanOrEqual(1);
  expect(queries.length, context).toBeLessThanOrEqual(parts);
  const read = [];
  for (const part of queries) read.push(...(await readRecords(source, overTheWire(part))));
  // A record in two parts is told as one that comes more than once, a record in none as missing.
  assertSameRecords(read, await readRecords(source, query), { context });
}

/** A part as another process gets it. */
function overTheWire(part: P2PQuery): P2PQuery {
  return part.partition === undefined ? part : { ...part, partition: overWire(part.partition) };
}
