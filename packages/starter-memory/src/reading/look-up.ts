import {
  assertAskableById,
  type IdRef,
  idKey,
  type LookUpOutcome,
  matches,
  type P2PQuery,
  projectRecord,
} from "@omni/p2p-core/starter";
import type { MemoryStore } from "../client/store.ts";
import { parseMemoryQuery, rangeOf } from "../query/query.ts";

/**
 * Point look-ups: what the store has under these ids, and whether the query would give it.
 *
 * @throws P2PError `UNSUPPORTED_QUERY` when the query has a limit or an offset.
 */
export function lookUpRecords(store: MemoryStore, refs: readonly IdRef[], query: P2PQuery): LookUpOutcome[] {
  const parsed = parseMemoryQuery(query);
  assertAskableById(parsed);
  const { after, upTo } = rangeOf(parsed);
  return refs.map(({ id }) => {
    const key = idKey(id);
    const record = store.find(key);
    if (record === undefined) return { state: "absent" };
    // To number the records costs a pass over them, so only a part of a query asks for it.
    const inPart = parsed.partition === undefined || isBetween(after, store.sequenceOfKey(key), upTo);
    if (!inPart || !matches(parsed.conditions, record)) return { state: "unwanted" };
    return { state: "wanted", record: projectRecord(record, parsed.fields) };
  });
}

function isBetween(after: number, sequence: number, upTo: number): boolean {
  return sequence > after && sequence <= upTo;
}
