import { cursorPosition, type P2PQuery, parseQuery, type ReadOptions, type RecordBatch } from "@omni/p2p-core/starter";
import type { SqliteStore } from "../client/store.ts";
import { nativeCondition, parseNative } from "../query/native-query.ts";
import { openRelation } from "../query/relation.ts";
import { STORE } from "../types.ts";
import { readSorted } from "./sorted-order.ts";
import { readStorageOrder } from "./storage-order.ts";

/** The records that a query asks for, in batches. */
export async function* readBatches(
  store: SqliteStore,
  tableName: string,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  options.signal.throwIfAborted();
  const parsed = parseQuery(query);
  const native = parseNative(parsed);
  store.assertSameFile();
  const relation = await store.patiently("read", options.signal, () => openRelation(store, tableName, native));
  const where = nativeCondition(native);
  const after = options.after === undefined ? {} : { after: cursorPosition(STORE, options.after) };
  const from = { ...options, ...after };
  yield* parsed.orderBy.length > 0
    ? readSorted(store, relation, parsed, where, from)
    : readStorageOrder(store, relation, parsed, where, from);
}
