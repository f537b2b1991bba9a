import {
  BatchBuilder,
  cursorPosition,
  foreignCursor,
  fromJson,
  idKey,
  isP2PError,
  type JsonValue,
  matches,
  P2PError,
  type P2PId,
  type P2PQuery,
  type P2PRecord,
  pickFields,
  type ReadOptions,
  type RecordBatch,
  storeCursor,
  toJson,
} from "@omni/p2p-core/starter";
import { assertCollectionExists } from "./client/collections.ts";
import { isCursorGone, mongodbError } from "./client/errors.ts";
import { STORE } from "./client/storage-type.ts";
import type { OpenCollection } from "./query/open-collection.ts";
import { parseMongodbQuery } from "./query/query.ts";
import { keysFromText, keysToText, sortKeysOf } from "./query/sort-key.ts";
import { answerSize } from "./reading/answer-size.ts";
import { readAhead } from "./reading/read-ahead.ts";
import { filterBehind, filterFrom, planRead, type ReadPlan, type SortPosition } from "./reading/read-plan.ts";
import { locatorOf } from "./values/locator.ts";

/** How far reading has come. */
interface Position {
  /** The last id, where reading goes by id. */
  after: P2PId | undefined;
  /** The last document whose place can be said, where it goes by another order. */
  behind: SortPosition | undefined;
  /** Documents passed since then. */
  passed: number;
  /** Records still to be passed over here, where the server cannot count them. */
  skip: number;
  /** Records still to be given. */
  left: number;
}

/**
 * The records of a query, in batches, by one cursor on the server. A cursor that the server has forgotten is replaced
 * by one that starts after the last id.
 */
export async function* readBatches(
  opened: OpenCollection,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const { signal } = options;
  signal.throwIfAborted();
  const plan = planRead(opened, parseMongodbQuery(query, opened.dialect));
  if (plan.query.limit === 0) return;
  const position = startOf(opened, plan, options.after);
  const batch = new Batch(opened, plan, position, options);
  try {
    const size = await answerSize(opened, options.batchSize, signal);
    for (let ended = false; !ended; ) {
      const cursor = openCursor(opened, plan, position, size, signal);
      const from = batch.documents;
      try {
        for await (const documents of readAhead(cursor)) {
          for (const document of documents) {
            if (batch.hasNoRoomFor(document)) {
              yield batch.take();
              signal.throwIfAborted();
            }
            batch.add(document);
            if (position.left === 0) break;
          }
          // What is full goes out at once, not when the server has answered again.
          if (batch.isFull) {
            yield batch.take();
            signal.throwIfAborted();
          }
          if (position.left === 0) break;
        }
        ended = true;
      } catch (error) {
        // One that gets nowhere is not tried again.
        if (!isCursorGone(error) || batch.documents === from) throw error;
        batch.settle();
      } finally {
        await cursor.close().catch(() => {});
      }
    }
    if (batch.documents === 0 && options.after === undefined) await assertCollectionExists(opened, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw mongodbError(error, "read", opened.label);
  }
  if (!batch.isEmpty) yield batch.take();
}

function startOf({ bson }: OpenCollection, plan: ReadPlan, after: JsonValue | undefined): Position {
  const { query, sorted, sortFields } = plan;
  const start: Position = { after: undefined, behind: undefined, passed: 0, skip: query.offset, left: query.limit };
  if (after === undefined) return start;
  const cursor = (cursorPosition(STORE, after) ?? {}) as { [name in "id" | "keys" | "passed" | "rank"]?: JsonValue };
  if (!sorted) {
    if (cursor.id === undefined || cursor.keys !== undefined) throw foreignCursor(STORE);
    return { ...start, after: idOf(cursor.id), skip: 0 };
  }
  if (typeof cursor.rank === "number") {
    throw new P2PError(
      "CHECKPOINT_INVALID",
      "The checkpoint of this sorted read was made by an earlier version, which went by rank and would lose records when others were deleted; start the transfer anew",
    );
  }
  const { keys, id, passed = 0 } = cursor;
  if (!Number.isSafeInteger(passed) || (keys === undefined && !((passed as number) > 0))) throw foreignCursor(STORE);
  if (keys === undefined) return { ...start, passed: passed as number, skip: 0 };
  const read = typeof keys === "string" ? keysFromText(keys, sortFields.length, bson) : undefined;
  if (read === undefined || id === undefined) throw foreignCursor(STORE);
  return { ...start, behind: { keys: read, id: idOf(id) }, passed: passed as number, skip: 0 };
}

function idOf(json: JsonValue): P2PId {
  try {
    const id = fromJson(json);
    if (id !== null && !Array.isArray(id)) return id as P2PId;
  } catch {
    // Below.
  }
  throw foreignCursor(STORE);
}

function openCursor(
  opened: OpenCollection,
  plan: ReadPlan,
  position: Position,
  batchSize: number,
  signal: AbortSignal,
) {
  let skip = plan.sorted ? position.passed : 0;
  // Where the server's filter is exact, it passes over the first records; this happens once, at the start.
  if (plan.where.exact && position.skip > 0) {
    skip += position.skip;
    if (plan.sorted) position.passed = skip;
    position.skip = 0;
  }
  const limit = plan.where.exact && Number.isFinite(position.left) ? position.left : undefined;
  const filter = position.behind
    ? filterBehind(opened, plan, position.behind)
    : filterFrom(opened, plan, plan.sorted ? undefined : position.after);
  return opened.collection.find(filter, {
    ...plan.options,
    // Documents are decoded here, from the server's own bytes.
    raw: true,
    batchSize,
    ...(skip > 0 ? { skip } : {}),
    ...(limit === undefined ? {} : { limit }),
    signal,
  });
}

/** Collects records until there are enough for a batch. */
class Batch {
  /** Documents seen. */
  documents = 0;
  readonly #opened: OpenCollection;
  readonly #plan: ReadPlan;
  readonly #position: Position;
  readonly #builder: BatchBuilder<P2PRecord>;
  /** Of each record, in a sharded collection. */
  #locators: JsonValue[] = [];
  /** The last document, and its record, of a sorted read. */
  #last: { readonly document: Uint8Array; readonly record: P2PRecord } | undefined;

  constructor(opened: OpenCollection, plan: ReadPlan, position: Position, options: ReadOptions) {
    this.#opened = opened;
    this.#plan = plan;
    this.#position = position;
    this.#builder = new BatchBuilder(options);
  }

  get isEmpty(): boolean {
    return this.#builder.isEmpty;
  }

  get isFull(): boolean {
    return this.#builder.isFull;
  }

  hasNoRoomFor(document: Uint8Array): boolean {
    return !this.#builder.hasRoomFor(document.length);
  }

  add(document: Uint8Array): void {
    this.documents++;
    this.#position.passed++;
    const record = this.#decode(document);
    this.#last = record === undefined || !this.#plan.sorted ? undefined : { document, record };
    if (record === undefined) return;
    if (record.id !== undefined) this.#position.after = record.id;
    const { query, where } = this.#plan;
    if (!where.exact && !matches(query.conditions, record)) return;
    if (this.#position.skip > 0) {
      this.#position.skip--;
      return;
    }
    this.#position.left--;
    this.#builder.add(pickFields(record, query.fields), document.length, this.#opened.decoder.isSound);
    if (this.#opened.shardKey.length > 0) this.#locators.push(locatorOf(record, this.#opened.shardKey));
  }

  /** A document that cannot be made out counts as read and is told by its id. */
  #decode(document: Uint8Array): P2PRecord | undefined {
    try {
      return this.#opened.decoder.decode(document);
    } catch (error) {
      const id = this.#opened.decoder.decodeId(document);
      if (id !== undefined) this.#position.after = id;
      if (this.#position.skip > 0) {
        this.#position.skip--;
        return undefined;
      }
      this.#position.left--;
      this.#builder.fail({
        id: id === undefined || id === null ? "" : idKey(id),
        error: isP2PError(error) ? error : new P2PError("INVALID_RECORD", "The document is damaged", { cause: error }),
      });
      return undefined;
    }
  }

  /** Takes the last document for the place where a sorted read has come to, if it has one that can be said. */
  settle(): void {
    if (this.#last === undefined) return;
    const { document, record } = this.#last;
    const keys = sortKeysOf(document, record, this.#plan.sortFields, this.#opened, this.#opened.bson);
    if (keys === undefined) return;
    this.#position.behind = { keys, id: record.id };
    this.#position.passed = 0;
    this.#last = undefined;
  }

  #cursor(): JsonValue {
    const { after, behind, passed } = this.#position;
    if (!this.#plan.sorted) return storeCursor(STORE, after === undefined ? {} : { id: toJson(after) });
    return storeCursor(STORE, {
      ...(behind && { keys: keysToText(behind.keys, this.#opened.bson), id: toJson(behind.id) }),
      ...(passed > 0 && { passed }),
    });
  }

  take(): RecordBatch {
    this.settle();
    const { items: records, ...rest } = this.#builder.take()!;
    const locators = this.#locators;
    this.#locators = [];
    return { records, cursor: this.#cursor(), ...rest, ...(locators.length > 0 && { locators }) };
  }
}
