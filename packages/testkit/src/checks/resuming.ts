import {
  isP2PError,
  type JsonValue,
  type P2PDataTransferService,
  type P2PQuery,
  type RawSource,
} from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { readBatches, readRecords, rejection } from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import type { Feature } from "../lacks.ts";
import { overWire } from "../over-wire.ts";
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
      const rest = await readRecords(source, { limit: 20 - taken }, { batchSize: 7, after: overWire(first!.cursor) });
      assertSameRecords(rest, all.slice(taken, 20), { ordered: true });
    });

    const foreign = FOREIGN_CURSORS.filter(({ store }) => store !== suite.adapter.starter.storageType);
    for (const { query, needs } of [{ query: {} }, { query: { orderBy: "title" }, needs: ["sorting" as const] }]) {
      check(
        suite,
        `a cursor that the store did not make is CHECKPOINT_INVALID, before anything is read: ${queryText(query)}`,
        async () => {
          const { source } = place();
          for (const { cursor } of foreign) {
            const context = `cursor ${JSON.stringify(cursor)}`;
            const error = await rejection(readRecords(source, query, { after: cursor }), context);
            if (!isP2PError(error)) throw error;
            expect(error.code, context).toBe("CHECKPOINT_INVALID");
            if (source.rawSource === undefined) continue;
            const raw = await rejection(rawDocuments(source.rawSource, query, cursor), `raw lane, ${context}`);
            expect(isP2PError(raw, "CHECKPOINT_INVALID"), `raw lane, ${context}: ${String(raw)}`).toBe(true);
          }
        },
        needs,
      );
    }

    check(suite, "law 4, resume: the parts of a query have cursors too", async () => {
      const { source } = place();
      for (const part of await source.partitions({}, 3, new AbortController().signal)) {
        await resumeEverywhere(source, part, 4);
      }
    });
  });
}

/** Cursors of nobody, and of each official store, with its mark and without. */
const FOREIGN_CURSORS: readonly { readonly store?: string; readonly cursor: JsonValue }[] = [
  ...[{}, "x", "", 7, true, false, [], [[]], { x: 1 }, [{}]].map((cursor) => ({ cursor })),
  { cursor: { store: "nobody", at: 7 } },
  { store: "reference", cursor: { store: "reference", at: { sort: ["a"], id: "a" } } },
  { store: "memory", cursor: { store: "memory", at: { sequence: 7 } } },
  { store: "memory", cursor: { store: "memory", at: { sort: ["a"], id: "a" } } },
  { store: "sqlite", cursor: { rowid: 7 } },
  { store: "sqlite", cursor: { key: ["a"] } },
  { store: "redis", cursor: { key: "a" } },
  { store: "redis", cursor: { scan: [0, 0] } },
  { store: "mongodb", cursor: { id: "a" } },
  { store: "elasticsearch", cursor: [7, "a", "b"] },
  { store: "postgresql", cursor: { key: ["a"] } },
  { store: "elasticsearch", cursor: { after: ["a", 7] } },
];

async function rawDocuments(source: RawSource, query: P2PQuery, after: JsonValue): Promise<void> {
  const signal = new AbortController().signal;
  for await (const { documents } of source.read(query, { batchSize: 100, signal, after })) {
    throw new Error(`${documents.length} documents were read`);
  }
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
    const rest = await readRecords(service, query, { batchSize: 1000, after: overWire(batch.cursor) });
    assertSameRecords(rest, all.slice(read), {
      ordered: true,
      context: `after ${read} of ${all.length} records, cursor ${JSON.stringify(batch.cursor)}`,
    });
    if (service !== source) await service.close();
  }
  expect(read).toBe(all.length);
}
