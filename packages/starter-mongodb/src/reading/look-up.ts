import {
  assertAskableById,
  type IdRef,
  idKey,
  isP2PError,
  type JsonValue,
  type LookUpOptions,
  type LookUpOutcome,
  matches,
  P2PError,
  type P2PQuery,
  type P2PRecord,
  pickFields,
  recordTrouble,
} from "@omni/p2p-core/starter";
import type { ClientSession, Document } from "mongodb";
import { assertCollectionExists } from "../client/collections.ts";
import { mongodbError } from "../client/errors.ts";
import type { OpenCollection } from "../query/open-collection.ts";
import { parseMongodbQuery } from "../query/query.ts";
import { formsOf, oddIds } from "../values/id-forms.ts";
import { locatorOf } from "../values/locator.ts";
import { answerSize } from "./answer-size.ts";
import { Findings, type Present } from "./findings.ts";
import { readAhead } from "./read-ahead.ts";
import { allOf, filterFrom, planRead, type ReadPlan } from "./read-plan.ts";

/** Ids that are asked for in one command at most. */
const MOST_IDS = 10_000;
/** Bytes of ids in one command at most, about; a command has 16 MB at most. */
const MOST_ID_BYTES = 8 * 1024 * 1024;
/** Bytes that an id takes besides its text, about, with the field name that the driver gives it in a list. */
const BYTES_BESIDE = 32;
/** Characters of an id from which its forms are counted, and how many they are below that, about. */
const LONG_ID = 500;
const USUAL_FORMS = 4;
/**
 * Ids from which FerretDB is asked for the whole collection: it has no use for the index in `$in`, and compares each document
 * with each id.
 */
const MOST_COMPARED = 200;
/** Ids that FerretDB is asked for one by one at a time. */
const ONE_BY_ONE = 8;

/**
 * Point look-ups: for each id whether the query gives its record. The server says so by the filter that reading uses:
 * 1. the ids together with that filter: what comes is wanted;
 * 2. the ids of the others alone: those that are not there are absent;
 * 3. those that are there with the filter once more, since they may have come or changed between 1 and 2: what does not come
 *    now is unwanted.
 * So a record that is there and wanted all the while is never told as anything else, whatever others write meanwhile. The
 * steps are in one causally consistent session: no secondary that lags behind the one before answers.
 */
export async function lookUpRecords(
  opened: OpenCollection,
  refs: readonly IdRef[],
  query: P2PQuery,
  { signal }: LookUpOptions,
): Promise<LookUpOutcome[]> {
  signal.throwIfAborted();
  const parsed = parseMongodbQuery(query, opened.dialect);
  assertAskableById(parsed);
  if (refs.length === 0) return [];
  const session = startSession(opened);
  try {
    return await new LookUp(opened, planRead(opened, { ...parsed, orderBy: [] }), refs, signal, session).outcomes();
  } catch (error) {
    signal.throwIfAborted();
    throw mongodbError(error, "read", opened.label);
  } finally {
    await session?.endSession().catch(() => {});
  }
}

/** Other read concerns than these cannot be had together with causal consistency. */
const CAUSAL_LEVELS: readonly unknown[] = [undefined, "local", "majority"];

function startSession({ sessions, db, collection, readAfter }: OpenCollection): ClientSession | undefined {
  if (!sessions || !CAUSAL_LEVELS.includes(collection.readConcern?.level)) return undefined;
  const session = db.client.startSession({ causalConsistency: true });
  if (readAfter !== undefined) session.advanceOperationTime(readAfter);
  return session;
}

/** A filter that matches at least all ids with the texts of these refs, which are given by their indexes. */
type IdFilter = (indexes: readonly number[]) => Document;

class LookUp {
  readonly #opened: OpenCollection;
  readonly #plan: ReadPlan;
  readonly #refs: readonly IdRef[];
  readonly #signal: AbortSignal;
  readonly #session: ClientSession | undefined;
  readonly #found: Findings;

  constructor(
    opened: OpenCollection,
    plan: ReadPlan,
    refs: readonly IdRef[],
    signal: AbortSignal,
    session: ClientSession | undefined,
  ) {
    this.#opened = opened;
    this.#plan = plan;
    this.#refs = refs;
    this.#signal = signal;
    this.#session = session;
    this.#found = new Findings(refs);
  }

  async outcomes(): Promise<LookUpOutcome[]> {
    const { dialect, encoder } = this.#opened;
    const idsOf = (indexes: readonly number[]) => indexes.map((index) => this.#refs[index]!.id);
    const inForms = (indexes: readonly number[]): Document => ({
      _id: { $in: idsOf(indexes).flatMap((id) => formsOf(id, encoder, dialect)) },
    });
    const odd: IdFilter = (indexes) => oddIds(idsOf(indexes), dialect);
    const chunks = [...this.#chunks()];
    if (dialect.complete) for (const chunk of chunks) await this.#look(chunk, inForms);
    else if (chunks.length > 0) {
      const either: IdFilter = (indexes) => ({ $or: [inForms(indexes), odd(indexes)] });
      const few = chunks.length === 1 && this.#refs.length <= MOST_COMPARED;
      if (few) await this.#lookOneByOne(chunks.flat());
      const others = chunks.flat().filter((index) => !this.#found.isSettled(index));
      if (others.length > 0) await this.#look(others, few ? either : () => ({}));
      return this.#found.outcomes();
    }
    // Ids whose form cannot be told from their text. Where a collection has none of their types, this finds nothing at once.
    const unsure = this.#refs.flatMap((_, index) => (this.#found.isUnsure(index) ? [index] : []));
    if (unsure.length > 0 && (await this.#idsAmong(odd(unsure), unsure)).length > 0) await this.#look(unsure, odd);
    return this.#found.outcomes();
  }

  /** Parts of the refs of which each makes one command. */
  *#chunks(): Generator<number[]> {
    const { encoder, dialect, maxDocumentBytes } = this.#opened;
    const most = Math.min(MOST_ID_BYTES, maxDocumentBytes / 2);
    let chunk: number[] = [];
    let bytes = 0;
    for (const [index, { id }] of this.#refs.entries()) {
      const text = idKey(id);
      // What no document has room for is in none.
      if (text.length > maxDocumentBytes) continue;
      const forms = text.length > LONG_ID ? formsOf(id, encoder, dialect).length : USUAL_FORMS;
      const size = forms * (text.length * 3 + BYTES_BESIDE);
      if (chunk.length > 0 && (chunk.length >= MOST_IDS || bytes + size > most)) {
        yield chunk;
        chunk = [];
        bytes = 0;
      }
      chunk.push(index);
      bytes += size;
    }
    if (chunk.length > 0) yield chunk;
  }

  async #look(indexes: readonly number[], filter: IdFilter): Promise<void> {
    const given = await this.#wanted(filter(indexes));
    const others = indexes.filter((index) => !this.#found.isSettled(index));
    if (others.length === 0) return;
    const present = this.#givesAll ? [] : await this.#idsAmong(filter(others), others);
    if (given === 0 && present.length === 0) await assertCollectionExists(this.#opened, this.#signal);
    const there = present.filter((document) => this.#found.isBetter(document));
    if (there.length === 0) return;
    const again = await this.#wanted(filter(there.map(({ index }) => index)));
    // A collection that is dropped meanwhile wants nothing.
    if (again === 0) await assertCollectionExists(this.#opened, this.#signal);
    for (const { id, locator } of there) this.#found.offer(id, { state: "unwanted" }, locator);
  }

  /** FerretDB uses its index for nothing but one text or ObjectId alone; what is found so spares a walk through all documents. */
  async #lookOneByOne(indexes: readonly number[]): Promise<void> {
    if (!this.#givesAll) return;
    const { encoder, bson } = this.#opened;
    const ids = indexes.map((index) => encoder.id(this.#refs[index]!.id));
    const indexed = ids.filter((id) => typeof id === "string" || id instanceof bson.ObjectId);
    for (let from = 0; from < indexed.length; from += ONE_BY_ONE) {
      await Promise.all(indexed.slice(from, from + ONE_BY_ONE).map((_id) => this.#wanted({ _id })));
    }
  }

  /** Whether the query gives every record of the collection. */
  get #givesAll(): boolean {
    const { filters, query } = this.#plan;
    const { after, upTo } = query.range;
    return (
      filters.length === 0 &&
      query.conditions.length === 0 &&
      query.hint === undefined &&
      after === undefined &&
      upTo === undefined
    );
  }

  /** Finds what the query gives among these ids, and says how many documents the server gave. */
  async #wanted(ids: Document): Promise<number> {
    const { decoder } = this.#opened;
    const { conditions, fields } = this.#plan.query;
    const { sort: _, ...options } = this.#plan.options;
    const filter = allOf([ids, filterFrom(this.#opened, this.#plan, undefined)]);
    let count = 0;
    for await (const document of this.#documents(filter, options)) {
      count++;
      const id = decoder.decodeId(document);
      if (id === undefined || id === null || !this.#found.isAsked(id)) continue;
      try {
        const record = decoder.decode(document);
        const { isSound } = decoder;
        if (!this.#plan.where.exact && !matches(conditions, record)) continue;
        const picked = pickFields(record, fields);
        const trouble = isSound ? undefined : recordTrouble(picked);
        if (trouble === undefined) {
          this.#found.offer(id, { state: "wanted", record: picked }, this.#locatorOf(record));
        } else {
          this.#found.offer(id, unreadable(new P2PError("INVALID_RECORD", `Invalid record: ${trouble}`)), undefined);
        }
      } catch (error) {
        this.#found.offer(id, unreadable(error), undefined);
      }
    }
    return count;
  }

  /** Which of the refs have a document among those with these ids. */
  async #idsAmong(filter: Document, indexes: readonly number[]): Promise<Present[]> {
    const { decoder, shardKey } = this.#opened;
    const projection: Document = { _id: 1 };
    for (const path of shardKey) projection[path] = 1;
    const asked = new Set(indexes);
    const present: Present[] = [];
    for await (const document of this.#documents(filter, { projection })) {
      const id = decoder.decodeId(document);
      if (id === undefined || id === null) continue;
      const locator = shardKey.length === 0 ? undefined : this.#locatorOf(decoder.decode(document));
      for (const index of this.#found.indexesOf(id)) if (asked.has(index)) present.push({ index, id, locator });
    }
    return present;
  }

  #locatorOf(record: P2PRecord): JsonValue | undefined {
    const { shardKey } = this.#opened;
    return shardKey.length === 0 ? undefined : locatorOf(record, shardKey);
  }

  async *#documents(filter: Document, options: Document): AsyncGenerator<Uint8Array> {
    const batchSize = await this.#answerSize();
    const cursor = this.#opened.collection.find(filter, {
      ...options,
      raw: true,
      batchSize,
      signal: this.#signal,
      ...(this.#session && { session: this.#session }),
    });
    try {
      for await (const documents of readAhead(cursor)) yield* documents;
    } finally {
      await cursor.close().catch(() => {});
    }
  }

  #size: Promise<number> | undefined;

  #answerSize(): Promise<number> {
    this.#size ??= answerSize(this.#opened, this.#refs.length, this.#signal);
    return this.#size;
  }
}

function unreadable(error: unknown): LookUpOutcome {
  return {
    state: "failed",
    error: isP2PError(error) ? error : new P2PError("INVALID_RECORD", "The document is damaged", { cause: error }),
  };
}
