import type { WriteOptions, WriteResult } from "@omni/p2p-core/starter";
import type { Keyspace } from "../client/keyspace.ts";
import type { RedisDocument } from "../values/raw-document.ts";
import { documentRecord, packDocument } from "./packed-record.ts";
import { writeItems } from "./write-items.ts";

/** The raw lane: writes documents as the mode says. */
export function writeDocuments(
  target: Keyspace,
  documents: readonly RedisDocument[],
  options: WriteOptions,
): Promise<WriteResult> {
  return writeItems(target, documents, packDocument, (document) => documentRecord(document, target).id, options);
}
