import {
  idKey,
  P2PError,
  type P2PRecord,
  type WriteFailure,
  type WriteOptions,
  type WriteResult,
} from "@omni/p2p-core/starter";
import type { AnyBulkWriteOperation, Document } from "mongodb";
import { isDuplicateKey, mongodbError, recordError } from "./client/errors.ts";
import type { OpenCollection } from "./query/open-collection.ts";
import { bulkWrite, type Item, type Outcome, type Refusal } from "./writing/bulk.ts";

/** Documents that may be larger than this by a rough bound are measured. */
const MEASURE_FROM_BYTES = 8 * 1024 * 1024;

/** A record on its way. */
interface RecordItem extends Item {
  readonly document: Document;
}

/** Writes batches to one collection. */
export class Writer {
  readonly #opened: OpenCollection;
  readonly #sizeOf: (document: Document) => number;
  /**
   * Whether what comes is likely new: then it is inserted, and only what is there already is replaced. Inserting costs
   * the server a fraction of an upsert, which looks for each record first.
   */
  #expectNew = true;

  constructor(opened: OpenCollection, sizeOf: (document: Document) => number) {
    this.#opened = opened;
    this.#sizeOf = sizeOf;
  }

  /** Writes the records as the mode says. */
  async write(records: readonly P2PRecord[], { mode, signal }: WriteOptions): Promise<WriteResult> {
    signal.throwIfAborted();
    const failures: WriteFailure[] = [];
    const items = this.#encode(records, failures);
    let skipped = 0;
    try {
      if (mode === "upsert") {
        for (const refusal of await this.#upsert(items, signal)) failures.push(this.#failure(refusal));
      } else {
        const refusals = await this.#insert(items, signal);
        const present = await this.#presentAmong(refusals, signal);
        for (const refusal of refusals) {
          if (!present.has(refusal.item)) failures.push(this.#failure(refusal));
          else if (mode === "skip") skipped++;
          else failures.push(duplicateId(refusal.item));
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      throw mongodbError(error, "write", this.#opened.label);
    }
    failures.sort((a, b) => a.index - b.index);
    return { written: records.length - skipped - failures.length, skipped, failures };
  }

  #encode(records: readonly P2PRecord[], failures: WriteFailure[]): RecordItem[] {
    const { encoder, maxDocumentBytes } = this.#opened;
    const items: RecordItem[] = [];
    for (const [index, record] of records.entries()) {
      const document = encoder.document(record);
      if (encoder.sizeBound > MEASURE_FROM_BYTES) {
        // An upsert names the id beside the document, and the whole of it must fit.
        const bytes = this.#sizeOf({ q: { _id: document._id }, u: document, multi: false, upsert: true });
        if (bytes >= maxDocumentBytes) {
          failures.push({ index, id: record.id, error: tooLarge(bytes, maxDocumentBytes) });
          continue;
        }
      }
      items.push({ index, id: record.id, document });
    }
    return items;
  }

  async #upsert(items: readonly RecordItem[], signal: AbortSignal): Promise<readonly Refusal<RecordItem>[]> {
    if (!this.#expectNew) {
      const { refusals, upserted } = await this.#replace(items, signal);
      this.#expectNew = upserted * 2 > items.length;
      return refusals;
    }
    const [present, others] = partition(await this.#insert(items, signal), ({ code }) => isDuplicateKey(code));
    this.#expectNew = present.length * 2 <= items.length;
    const known = present.map(({ item }) => item);
    return [...others, ...(await this.#replace(known, signal)).refusals];
  }

  async #insert(items: readonly RecordItem[], signal: AbortSignal): Promise<readonly Refusal<RecordItem>[]> {
    const insertion = ({ document }: RecordItem) => ({ insertOne: { document } });
    return (await bulkWrite(this.#opened, items, insertion, { named: true, signal })).refusals;
  }

  async #replace(items: readonly RecordItem[], signal: AbortSignal): Promise<Outcome<RecordItem>> {
    const replacement = ({ document }: RecordItem): AnyBulkWriteOperation<Document> => ({
      replaceOne: { filter: { _id: document._id }, replacement: document, upsert: true },
    });
    return bulkWrite(this.#opened, items, replacement, { named: this.#opened.dialect.namesFailedUpdates, signal });
  }

  /** Those of the refused whose very id is there already. */
  async #presentAmong(refusals: readonly Refusal<RecordItem>[], signal: AbortSignal): Promise<Set<RecordItem>> {
    const duplicates = refusals.filter(({ code }) => isDuplicateKey(code));
    const [named, unnamed] = partition(duplicates, ({ reason }) => /\bindex: /.test(reason));
    const present = named
      .filter(({ reason }) => /\bindex: (?:\S+\.\$)?_id_(?:\s|$)/.test(reason))
      .map(({ item }) => item);
    if (unnamed.length > 0) {
      // A server that does not name the index: the ids themselves tell.
      const filter = { _id: { $in: unnamed.map(({ item }) => item.document._id) } };
      const found = await this.#opened.collection.find(filter, { projection: { _id: 1 }, raw: true, signal }).toArray();
      const ids = new Set(
        found.map((document) => idKey(this.#opened.decoder.decode(document as unknown as Uint8Array).id)),
      );
      present.push(...unnamed.map(({ item }) => item).filter(({ id }) => ids.has(idKey(id))));
    }
    return new Set(present);
  }

  #failure({ item, code, reason }: Refusal<RecordItem>): WriteFailure {
    const error = isDuplicateKey(code)
      ? uniqueIndex(reason, this.#opened.label)
      : recordError(code, reason, this.#opened.label);
    return { index: item.index, id: item.id, error };
  }
}

function duplicateId({ index, id }: RecordItem): WriteFailure {
  return { index, id, error: new P2PError("DUPLICATE_ID", `The id ${idKey(id)} is in the collection already`) };
}

/** Another record has the same value under a unique index, or was upserted at the same moment. */
function uniqueIndex(reason: string, label: string): P2PError {
  const sameId = /\bindex: (?:\S+\.\$)?_id_(?:\s|$)/.test(reason);
  return new P2PError(
    "WRITE_FAILED",
    sameId
      ? `${label} was given the same id by another writer at this moment: ${reason}`
      : `${label} refused the record for a unique index: ${reason}. Change the record by a transform, or drop the index`,
    { retryable: sameId },
  );
}

function tooLarge(bytes: number, limit: number): P2PError {
  return new P2PError(
    "RECORD_TOO_LARGE",
    `The record takes ${bytes} bytes as a MongoDB document, and ${limit} are the limit; split it or leave large fields out`,
  );
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  const [yes, no]: [T[], T[]] = [[], []];
  for (const item of items) (test(item) ? yes : no).push(item);
  return [yes, no];
}
