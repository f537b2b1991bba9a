import { boundService } from "@omni/p2p-core/engine";
import type {
  P2PDataTransferService,
  P2PQuery,
  P2PRecord,
  RawBatch,
  RawSource,
  RawTarget,
  WriteMode,
  WriteResult,
} from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { calm, type ReadSettings } from "./bench.ts";
import type { Skip } from "./suite.ts";

/** The raw source of a service; ends the check when there is none. */
export function rawSource({ rawSource: raw }: P2PDataTransferService, skip: Skip): RawSource {
  return raw ?? skip("the adapter has no rawSource");
}

/** The raw target of a service; ends the check when there is none that takes what the source gives. */
export function rawTarget({ rawTarget: raw }: P2PDataTransferService, { format }: RawSource, skip: Skip): RawTarget {
  if (raw === undefined) return skip("the adapter has no rawTarget");
  return raw.accepts(format) ? raw : skip(`a target of its own does not accept ${format}`);
}

/** The service with a word in each raw write. */
export function interceptRaw(service: P2PDataTransferService, onWrite: () => void): P2PDataTransferService {
  const raw = service.rawTarget!;
  return {
    ...boundService(service),
    rawTarget: {
      accepts: (format) => raw.accepts(format),
      async write(documents, options) {
        onWrite();
        return raw.write(documents, options);
      },
    },
  };
}

/** All raw batches of a query. */
export async function readRaw(raw: RawSource, query: P2PQuery, settings: ReadSettings = {}): Promise<RawBatch[]> {
  const options = { batchSize: 100, signal: calm(), ...settings };
  const batches: RawBatch[] = [];
  for await (const batch of raw.read(query, options)) {
    expect(batch.documents.length, "documents in a batch").toBeLessThanOrEqual(options.batchSize);
    expect(batch.failures ?? [], "failures of reading").toEqual([]);
    if (batch.documents.length > 0) expect(batch.bytes, "bytes of a batch").toBeGreaterThan(0);
    batches.push(batch);
  }
  return batches;
}

/** All documents of a query. */
export async function documentsOf(raw: RawSource, query: P2PQuery = {}): Promise<unknown[]> {
  return (await readRaw(raw, query)).flatMap((batch) => batch.documents);
}

/** What documents are as records. */
export function decoded(raw: RawSource, batches: readonly RawBatch[]): P2PRecord[] {
  return batches.flatMap(({ documents }) => documents.map((document) => raw.decode(document)));
}

/** One raw write, whose accounting must add up. */
export async function writeRaw(target: RawTarget, documents: readonly unknown[], mode: WriteMode = "upsert") {
  const result: WriteResult = await target.write(documents, { mode, signal: calm() });
  expect(result.written + result.skipped + result.failures.length, "documents accounted for").toBe(documents.length);
  return result;
}
