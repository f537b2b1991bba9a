/** Counting: by the server where its filter is exact, else by looking at what it finds. */
import type { ParsedQuery } from "@omni/p2p-core/starter";
import type { PostgresqlStore } from "../client/store.ts";
import { boundsError } from "../query/cursor.ts";
import { rowsAfter, rowsUpTo, storageOrder } from "../query/keyset.ts";
import { allOf, whereClause } from "../query/params.ts";
import { parsePartition } from "../query/partition.ts";
import type { Relation } from "../query/relation.ts";
import { readKeyOrder } from "./key-order.ts";
import { Scan } from "./scan.ts";

/** Records of a batch where they are counted one by one. */
const BATCH = 2000;

/** How many records a query gives. */
export async function countRecords(
  store: PostgresqlStore,
  relation: Relation,
  query: ParsedQuery,
  signal: AbortSignal,
): Promise<number> {
  const scan = new Scan(store, relation, {
    ...query,
    fields: [],
    orderBy: [],
    offset: 0,
    limit: Number.POSITIVE_INFINITY,
  });
  const total = scan.filter.check === "none" ? await countRows(scan, signal) : await countByReading(scan, signal);
  return Math.min(query.limit, Math.max(0, total - query.offset));
}

async function countRows({ store, relation, query, filter }: Scan, signal: AbortSignal): Promise<number> {
  const part = parsePartition(relation.table, query.partition);
  const { after, upTo } = part;
  const order = storageOrder(relation.table);
  const params = relation.params();
  const range = [after && rowsAfter(order, after), upTo && rowsUpTo(order, upTo)];
  const where = whereClause(allOf([...range, filter.sql]), params);
  try {
    const text = `SELECT count(*) FROM ${relation.from}${where}`;
    const { rows } = await store.query("read", signal, text, params.list);
    return Number(rows[0]![0]);
  } catch (error) {
    throw boundsError(error, { after: undefined, part });
  }
}

async function countByReading(scan: Scan, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const { records, failures } of readKeyOrder(scan, { batchSize: BATCH, signal })) {
    count += records.length + (failures?.length ?? 0);
  }
  return count;
}
