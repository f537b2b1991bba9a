import { idKey, type P2PError, type P2PRecord } from "@omni/p2p-core/starter";
import { syntheticError } from "../mapping/synthetic-source.ts";
import type { BulkRun, WriteTarget } from "./bulk-run.ts";

/**
 * Makes documents of records, and the index ready for them.
 *
 * @param places where each of them stands in the batch; `undefined` when they are all of it.
 */
export async function addRecords(
  run: BulkRun,
  { fields, link }: WriteTarget,
  records: readonly P2PRecord[],
  places: readonly number[] | undefined,
  signal: AbortSignal,
): Promise<void> {
  let encoder = await fields.prepare(records, signal);
  let adapted = false;
  let sidecarReady = false;
  let sidecarTrouble: P2PError | undefined;
  for (const [i, record] of records.entries()) {
    const key = idKey(record.id);
    const place = places === undefined ? i : places[i]!;
    let source = encoder.encodePlain(record);
    if (source === undefined) {
      // The others may have fields that are new. Those that went before have none.
      if (!adapted) encoder = await fields.adapt(i === 0 ? records : records.slice(i), signal);
      adapted = true;
      const document = encoder.encode(record, key);
      const lost = encoder.synthetic ? syntheticError(record, key, document.sidecar, link.label) : undefined;
      if (lost !== undefined) {
        run.refuse({ index: place, id: record.id, error: lost });
        continue;
      }
      if (document.sidecar && !sidecarReady) {
        sidecarTrouble = await fields.prepareSidecar(signal);
        sidecarReady = true;
      }
      if (document.sidecar && sidecarTrouble !== undefined) {
        run.refuse({ index: place, id: record.id, error: sidecarTrouble });
        continue;
      }
      source = document.source;
    }
    const full = run.add(place, record.id, key, source);
    if (full !== undefined) await full;
  }
}
