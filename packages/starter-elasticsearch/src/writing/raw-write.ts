import type { P2PRecord, WriteOptions, WriteResult } from "@omni/p2p-core/starter";
import type { IndexSchema } from "../mapping/schema.ts";
import { type RawDocument, recordOf } from "../values/raw-document.ts";
import { addRecords } from "./add-records.ts";
import { BulkRun, type WriteTarget } from "./bulk-run.ts";

/** Writes documents as they are where the index has the same fields as theirs, and as records where not. */
export async function writeRaw(
  target: WriteTarget,
  documents: readonly RawDocument[],
  options: WriteOptions,
): Promise<WriteResult> {
  const { signal } = options;
  signal.throwIfAborted();
  const run = new BulkRun(target, options);
  const origin = documents.find((document) => "record" in document)?.origin;
  if (origin !== undefined) await target.fields.resembleForeign(origin, signal);
  const alike = new Map<IndexSchema, boolean>();
  // Records that follow each other are added together; the order of the batch stays.
  let records: P2PRecord[] = [];
  let places: number[] = [];
  const addGathered = async (): Promise<void> => {
    await addRecords(run, target, records, places, signal);
    records = [];
    places = [];
  };
  for (const [index, document] of documents.entries()) {
    const schema = "record" in document ? undefined : document.schema;
    if (schema !== undefined && !alike.has(schema)) alike.set(schema, await target.fields.resemble(schema, signal));
    if ("record" in document || !alike.get(document.schema)) {
      places.push(index);
      records.push(recordOf(document));
      continue;
    }
    if (records.length > 0) await addGathered();
    const full = run.add(index, undefined, document.key, JSON.stringify(document.source));
    if (full !== undefined) await full;
  }
  if (records.length > 0) await addGathered();
  const result = await run.end();
  // The id of a document is only made out for those who are told of it.
  const failures = result.failures.map((failure) => ({ ...failure, id: recordOf(documents[failure.index]!).id }));
  return { ...result, failures };
}
