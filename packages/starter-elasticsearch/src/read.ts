import type { P2PQuery, ReadOptions, RecordBatch } from "@omni/p2p-core/starter";
import { openQuery, type SourceIndex } from "./query/source-index.ts";
import { readOpened } from "./reading/records.ts";

/** The documents that a query asks for, as records in batches. */
export async function* readBatches(
  source: SourceIndex,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  options.signal.throwIfAborted();
  const opened = await openQuery(source, query, options.signal);
  for await (const { items: records, ...batch } of readOpened(opened, options)) {
    yield { records, ...batch };
    options.signal.throwIfAborted();
  }
}
