import type { JsonValue, P2PDataTransferService, P2PQuery } from "@omni/p2p-core";
import { expect } from "vitest";
import { readBatches, readRecords } from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import type { Feature } from "../lacks.ts";
import { sampleRecords } from "../sample-records.ts";
import { check, group, queryText, type Suite, shared } from "../suite.ts";

const COUNT = 25;

/** Going on from a cursor, which is what makes a transfer survive. */
export function resumingChecks(suite: Suite): void {
  group("resuming", () => {
    const place = shared(suite, (bench) => bench.filled(sampleRecords(COUNT)));
    const cases: readonly { query: P2PQuery; needs?: Feature[] }[] = [
      { query: {} },
      { query: { where: { position: { gte: 5 } }, fields: ["title"] } },
      { query: { offset: 4 } },
      { query: { orderBy: "title" }, needs: ["sorting"] },
      { query: { orderBy: ["sometimes", { field: "flag", direction: "desc" }], offset: 3 }, needs: ["sorting"] },
    ];
    for (const { query, needs } of cases) {
      check(
        suite,
        `law 4, resume: every cursor gives exactly the rest of ${queryText(query)}`,
        async (bench) => {
          const { endpoint, source } = place();
          await resumeEverywhere(source, query, 1);
          await resumeEverywhere(source, query, 7);
          if (!source.capabilities.resumable) return;
          await resumeEverywhere(source, query, 9, () => bench.open(endpoint, "source"));
        },
        needs,
      );
    }

    check(suite, "law 4, resume: a limit counts from the cursor on", async () => {
      const { source } = place();
      const all = await readRecords(source);
      const [first] = await readBatches(source, { limit: 20 }, { batchSize: 7 });
      const taken = first!.records.length;
      const rest = await readRecords(source, { limit: 20 - taken }, { batchSize: 7, after: wire(first!.cursor) });
      assertSameRecords(rest, all.slice(taken, 20), { ordered: true });
    });

    check(suite, "law 4, resume: the parts of a query have cursors too", async () => {
      const { source } = place();
      for (const part of await source.partitions({}, 3, new AbortController().signal)) {
        await resumeEverywhere(source, part, 4);
      }
    });
  });
}

/** Reads in batches, and from the cursor of each batch reads the rest again. */
async function resumeEverywhere(
  source: P2PDataTransferService,
  query: P2PQuery,
  batchSize: number,
  reopen: () => Promise<P2PDataTransferService> = async () => source,
): Promise<void> {
  const batches = await readBatches(source, query, { batchSize });
  const all = batches.flatMap((batch) => batch.records);
  let read = 0;
  for (const batch of batches) {
    read += batch.records.length;
    const service = await reopen();
    const rest = await readRecords(service, query, { batchSize: 1000, after: wire(batch.cursor) });
    assertSameRecords(rest, all.slice(read), {
      ordered: true,
      context: `after ${read} of ${all.length} records, cursor ${JSON.stringify(batch.cursor)}`,
    });
    if (service !== source) await service.close();
  }
  expect(read).toBe(all.length);
}

/** A cursor as another process gets it. */
function wire(cursor: JsonValue): JsonValue {
  return JSON.parse(JSON.stringify(cursor)) as JsonValue;
}
