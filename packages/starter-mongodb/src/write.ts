import {
  idKey,
  messageOf,
  P2PError,
  type P2PId,
  type P2PRecord,
  unlessAborted,
  type WriteFailure,
  type WriteOptions,
  type WriteResult,
} from "@omni/p2p-core/starter";
import type { AnyBulkWriteOperation, Document, WriteError } from "mongodb";
import { isDuplicateKey, isSpoiled, mongodbError, recordError } from "./client/errors.ts";
import type { OpenCollection } from "./query/open-collection.ts";

/** Documents that may be larger than this by a rough bound are measured. */
const MEASURE_FROM_BYTES = 8 * 1024 * 1024;

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

/** What became of one command. */
interface Outcome {
  readonly refusals: readonly Refusal[];
  /** Records that a replacement found absent. */
  readonly upserted: number;
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

  #encode(records: readonly P2PRecord[], failures: WriteFailure[]): Item[] {
    const { encoder, maxDocumentBytes } = this.#opened;
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

  async #upsert(items: readonly Item[], signal: AbortSignal): Promise<readonly Refusal[]> {
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

  async #insert(items: readonly Item[], signal: AbortSignal): Promise<readonly Refusal[]> {
    return (await this.#send(items, ({ document }) => ({ insertOne: { document } }), true, signal)).refusals;
  }

  async #replace(items: readonly Item[], signal: AbortSignal): Promise<Outcome> {
    const replacement = ({ document }: Item): AnyBulkWriteOperation<Document> => ({
      replaceOne: { filter: { _id: document._id }, replacement: document, upsert: true },
    });
    return this.#send(items, replacement, this.#opened.dialect.namesFailedUpdates, signal);
  }

  /**
   * Sends one operation for each item, in no set order.
   *
   * @param named whether the server tells the refused ones by their index and goes on with the others
   */
  async #send(
    items: readonly Item[],
    toOperation: (item: Item) => AnyBulkWriteOperation<Document>,
    named: boolean,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (items.length === 0) return { refusals: [], upserted: 0 };
    try {
      const bulk = this.#opened.collection.bulkWrite(items.map(toOperation), { ordered: false });
      const { upsertedCount } = await unlessAborted(bulk, signal);
      return { refusals: [], upserted: upsertedCount };
    } catch (error) {
      signal.throwIfAborted();
      const refused = writeErrorsOf(error);
      if (refused.length > 0 && (named || items.length === 1)) {
        const refusals = refused.map(({ index, code, errmsg }) => ({
          item: items[index]!,
          code,
          reason: errmsg ?? "",
        }));
        return { refusals, upserted: 0 };
      }
      if (refused.length === 0 && !isSpoiled(error)) throw error;
      if (items.length === 1) {
        const { code } = error as { readonly code?: unknown };
        return { refusals: [{ item: items[0]!, code, reason: messageOf(error) }], upserted: 0 };
      }
      // Somewhere among them is what spoils the whole command.
      const half = items.length >> 1;
      const first = await this.#send(items.slice(0, half), toOperation, named, signal);
      const second = await this.#send(items.slice(half), toOperation, named, signal);
      return { refusals: [...first.refusals, ...second.refusals], upserted: first.upserted + second.upserted };
    }
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
      const found = await this.#opened.collection.find(filter, { projection: { _id: 1 }, raw: true, signal }).toArray();
      const ids = new Set(
        found.map((document) => idKey(this.#opened.decoder.decode(document as unknown as Uint8Array).id)),
      );
      present.push(...unnamed.map(({ item }) => item).filter(({ id }) => ids.has(idKey(id))));
    }
    return new Set(present);
  }

  #failure({ item, code, reason }: Refusal): WriteFailure {
    const error = isDuplicateKey(code)
      ? uniqueIndex(reason, this.#opened.label)
      : recordError(code, reason, this.#opened.label);
    return { index: item.index, id: item.id, error };
  }
}

/** The single refusals in an error of a bulk write. */
function writeErrorsOf(error: unknown): readonly WriteError[] {
  const { writeErrors } = error as { readonly writeErrors?: WriteError | readonly WriteError[] };
  return writeErrors === undefined ? [] : [writeErrors].flat();
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
