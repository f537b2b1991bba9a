import {
  assertAskableById,
  cloneValue,
  type IdRef,
  idKey,
  type LookUpOptions,
  type LookUpOutcome,
  matches,
  P2PError,
  type P2PQuery,
  type P2PRecord,
  parseQuery,
  pickFields,
  valuesEqual,
} from "@omni/p2p-core/starter";
import { type OpenedQuery, openQuery, type SourceIndex } from "../query/source-index.ts";
import { decodePage, type ReadHit } from "../values/decode.ts";
import { liesAt, locators } from "../values/locator.ts";
import { canBeKey, type FoundDocuments, findByIds } from "./by-id.ts";
import { comparePositions, positionOf } from "./change-cursor.ts";
import { wantedFields } from "./wanted-fields.ts";

/**
 * Looks records up by their ids. The server finds those that the query wants by the very filter that reading sends, and what
 * it cannot tell is looked at here, as in reading. Locators only choose between documents with one id: a document that has
 * moved since is found all the same.
 *
 * @throws P2PError `UNSUPPORTED_QUERY`, `INVALID_QUERY`, `SOURCE_NOT_FOUND`, or a failure of the whole call
 */
export async function lookUpRecords(
  source: SourceIndex,
  refs: readonly IdRef[],
  query: P2PQuery,
  { signal }: LookUpOptions,
): Promise<readonly LookUpOutcome[]> {
  signal.throwIfAborted();
  assertAskableById(parseQuery(query));
  const opened = await openQuery(source, query, signal);
  const refsByKey = new Map<string, number[]>();
  const outcomes: LookUpOutcome[] = refs.map(() => ABSENT);
  for (const [i, { id }] of refs.entries()) {
    const key = idKey(id);
    const same = refsByKey.get(key);
    if (same !== undefined) same.push(i);
    else if (canBeKey(key)) refsByKey.set(key, [i]);
  }
  const fetched = { filter: opened.plan.filter, source: wantedFields(opened) };
  for await (const found of findByIds(opened, [...refsByKey.keys()], fetched, signal)) {
    const lookUp = outcomesIn(found, opened);
    for (const key of found.keys) {
      for (const i of refsByKey.get(key)!) outcomes[i] = lookUp(key, refs[i]!);
    }
    signal.throwIfAborted();
  }
  return outcomes;
}

const ABSENT: LookUpOutcome = { state: "absent" };
const UNWANTED: LookUpOutcome = { state: "unwanted" };

/** What tells the outcome of a ref with a certain key. */
function outcomesIn(found: FoundDocuments, opened: OpenedQuery): (key: string, ref: IdRef) => LookUpOutcome {
  const { conditions, fields } = opened.plan.query;
  const wanted = new Map<string, ReadHit<P2PRecord>[]>();
  for (const { answer, text } of found.pages) {
    for (const hit of decodePage(answer, text, opened).hits) {
      // A document that cannot be read may be one that is wanted.
      if (hit.item !== undefined && !matches(conditions, hit.item)) continue;
      const others = wanted.get(hit.hit._id);
      if (others === undefined) wanted.set(hit.hit._id, [hit]);
      else others.push(hit);
    }
  }
  const there = new Set(found.documents.map(({ _id }) => _id));
  const locatorOf = locators(opened);
  const given = new Set<P2PRecord>();
  return (key, ref) => {
    const error = found.unsure.get(key) ?? (found.ahead.has(key) ? aheadError(key, opened.link.label) : undefined);
    if (error !== undefined) return { state: "failed", error };
    const chosen = wanted.get(key)?.reduce((a, b) => (isBetter(b, a, ref) ? b : a));
    if (chosen === undefined) return there.has(key) ? UNWANTED : ABSENT;
    if (chosen.item === undefined) return { state: "failed", error: chosen.error! };
    // Each record belongs to its receiver alone.
    const record = given.has(chosen.item) ? (cloneValue(chosen.item) as P2PRecord) : chosen.item;
    given.add(chosen.item);
    const locator = locatorOf(chosen.hit);
    return { state: "wanted", record: pickFields(record, fields), ...(locator === undefined ? {} : { locator }) };
  };
}

/**
 * Whether one of two documents with the text of an id is rather the one that is meant: a record with this very id, then one
 * at this place, then the last that a copy would have written.
 */
function isBetter(a: ReadHit<P2PRecord>, b: ReadHit<P2PRecord>, { id, locator }: IdRef): boolean {
  const criteria: readonly ((hit: ReadHit<P2PRecord>) => boolean)[] = [
    ({ item }) => item !== undefined,
    ({ item }) => item !== undefined && valuesEqual(item.id, id),
    ({ hit }) => liesAt(hit, locator),
  ];
  for (const holds of criteria) if (holds(a) !== holds(b)) return holds(a);
  return comparePositions(positionOf(a.hit), positionOf(b.hit)) > 0;
}

function aheadError(key: string, label: string): P2PError {
  const what = `What ${label} has of the id ${JSON.stringify(key)} has just changed, and searches do not show it yet`;
  const advice = "ask again, or grant the privilege maintenance on the index, so that it can be refreshed";
  return new P2PError("BUSY", `${what}; ${advice}`, { retryable: true, retryAfterMs: 1000 });
}
