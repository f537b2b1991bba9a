import {
  idKey,
  messageOf,
  P2PError,
  type P2PId,
  type P2PRecord,
  type WriteFailure,
  type WriteOptions,
  type WriteResult,
} from "@omni/p2p-core";
import type { AnyBulkWriteOperation, Document } from "mongodb";
import { isDuplicateKey, mongodbError, recordError } from "./errors.ts";
import type { Place } from "./place.ts";
import { unlessAborted } from "./unless-aborted.ts";

/** Documents that may be larger than this by a rough bound are measured. */
const MEASURE_FROM_BYTES = 8 * 1024 * 1024;

/** Codes of errors that one record can bring upon a whole command. */
const RECORD_FAULTS = new Set(["INVALID_RECORD", "RECORD_TOO_LARGE", "TYPE_MISMATCH", "DUPLICATE_ID"]);

/** A record on its way. */
interface Item {
  /** Its place in the array given to `writeToTarget`. */
  readonly index: number;
  readonly id: P2PId;
  readonly document: Document;
}

/** One record's refusal by the server. */
interface Refusal {
  readonly item: Item;
  readonly code: unknown;
  readonly reason: string;
}

/** Writes batches to one collection. */
export class Writer {
  readonly #place: Place;
  readonly #sizeOf: (document: Document) => number;
  /**
   * Whether what comes is likely new: then it is inserted, and only what is there already is replaced. Inserting costs
   * the server a fraction of an upsert, which looks for each record first.
   */
  #expectNew = true;

  constructor(place: Place, sizeOf: (document: Document) => number) {
    this.#place = place;
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
      throw mongodbError(error, "write", this.#place.label);
    }
    failures.sort((a, b) => a.index - b.index);
    return { written: records.length - skipped - failures.length, skipped, failures };
  }

  #encode(records: readonly P2PRecord[], failures: WriteFailure[]): Item[] {
    const { encoder, maxDocumentBytes } = this.#place;
    const items: Item[] = [];
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

  async #upsert(items: readonly Item[], signal: AbortSignal): Promise<Refusal[]> {
    if (!this.#expectNew) return this.#replace(items, signal);
    const refusals = await this.#insert(items, signal);
    const [present, others] = partition(refusals, ({ code }) => isDuplicateKey(code));
    this.#expectNew = present.length * 2 <= items.length;
    if (present.length === 0) return others;
    return [
      ...others,
      ...(await this.#replace(
        present.map(({ item }) => item),
        signal,
        true,
      )),
    ];
  }

  async #insert(items: readonly Item[], signal: AbortSignal): Promise<Refusal[]> {
    return this.#send(items, ({ document }) => ({ insertOne: { document } }), signal, true);
  }

  async #replace(items: readonly Item[], signal: AbortSignal, afterInsert = false): Promise<Refusal[]> {
    const toOperation = ({ document }: Item): AnyBulkWriteOperation<Document> => ({
      replaceOne: { filter: { _id: document._id }, replacement: document, upsert: true },
    });
    const onUpserted = (upserted: number) => {
      if (!afterInsert) this.#expectNew = upserted * 2 > items.length;
    };
    return this.#send(items, toOperation, signal, this.#place.dialect.namesFailedUpdates, onUpserted);
  }

  /**
   * Sends one operation for each item, in no set order.
   *
   * @param named whether the server tells the refused ones by their index and goes on with the others
   */
  async #send(
    items: readonly Item[],
    toOperation: (item: Item) => AnyBulkWriteOperation<Document>,
    signal: AbortSignal,
    named: boolean,
    onUpserted: (count: number) => void = () => {},
  ): Promise<Refusal[]> {
    if (items.length === 0) return [];
    try {
      const bulk = this.#place.collection.bulkWrite(items.map(toOperation), { ordered: false });
      const { upsertedCount } = await unlessAborted(bulk, signal);
      onUpserted(upsertedCount);
      return [];
    } catch (error) {
      signal.throwIfAborted();
      const refused = writeErrorsOf(error);
      if (refused.length > 0 && (named || items.length === 1)) {
        return refused.map(({ index, code, errmsg }) => ({ item: items[index]!, code, reason: errmsg ?? "" }));
      }
      if (!this.#isRecordFault(error, refused.length > 0)) throw error;
      if (items.length === 1) {
        return [{ item: items[0]!, code: (error as { code?: unknown }).code, reason: messageOf(error) }];
      }
      // Somewhere among them is what spoils the whole command.
      const half = items.length >> 1;
      const first = await this.#send(items.slice(0, half), toOperation, signal, named);
      return [...first, ...(await this.#send(items.slice(half), toOperation, signal, named))];
    }
  }

  /** Whether single records are to blame for an error, so that sending fewer at a time helps. */
  #isRecordFault(error: unknown, refused: boolean): boolean {
    if (refused) return true;
    return RECORD_FAULTS.has(mongodbError(error, "write", this.#place.label).code);
  }

  /** Those of the refused whose very id is there already. */
  async #presentAmong(refusals: readonly Refusal[], signal: AbortSignal): Promise<Set<Item>> {
    const duplicates = refusals.filter(({ code }) => isDuplicateKey(code));
    const [named, unnamed] = partition(duplicates, ({ reason }) => /\bindex: /.test(reason));
    const present = named
      .filter(({ reason }) => /\bindex: (?:\S+\.\$)?_id_(?:\s|$)/.test(reason))
      .map(({ item }) => item);
    if (unnamed.length > 0) {
      // A server that does not name the index: the ids themselves tell.
      const filter = { _id: { $in: unnamed.map(({ item }) => item.document._id) } };
      const found = await this.#place.collection.find(filter, { projection: { _id: 1 }, raw: true, signal }).toArray();
      const ids = new Set(
        found.map((document) => idKey(this.#place.decoder.decode(document as unknown as Uint8Array).id)),
      );
      present.push(...unnamed.map(({ item }) => item).filter(({ id }) => ids.has(idKey(id))));
    }
    return new Set(present);
  }

  #failure({ item, code, reason }: Refusal): WriteFailure {
    const error = isDuplicateKey(code)
      ? uniqueIndex(reason, this.#place.label)
      : recordError(code, reason, this.#place.label);
    return { index: item.index, id: item.id, error };
  }
}

/** The single refusals in an error of a bulk write. */
function writeErrorsOf(error: unknown): readonly { index: number; code: unknown; errmsg?: string }[] {
  const { writeErrors } = error as { writeErrors?: unknown };
  if (writeErrors === undefined || writeErrors === null) return [];
  return (Array.isArray(writeErrors) ? writeErrors : [writeErrors]) as {
    index: number;
    code: unknown;
    errmsg?: string;
  }[];
}

function duplicateId({ index, id }: Item): WriteFailure {
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
