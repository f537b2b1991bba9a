import {
  type IdRef,
  type LookUpOptions,
  type LookUpOutcome,
  matches,
  P2PError,
  type P2PQuery,
  pickFields,
  toP2PError,
  valuesEqual,
} from "@omni/p2p-core/starter";
import type { Key } from "../client/keys.ts";
import type { Keyspace } from "../client/keyspace.ts";
import { isOwnKey } from "../client/leases.ts";
import { keysOfId } from "../query/id-keys.ts";
import { keyTest, parseLookUpQuery } from "../query/look-up-query.ts";
import type { RedisQuery } from "../query/query.ts";
import type { Fetched } from "../values/key-value.ts";
import { toRecord, UnreadableKey } from "../values/read-record.ts";
import { fetchAhead } from "./fetch-ahead.ts";
import { listedKeys } from "./order/key-source.ts";

/** A key under which the record of a ref may be. */
interface Candidate {
  /** The place of the ref. */
  readonly index: number;
  readonly key: Key;
}

/** What a key holds for a ref. */
interface Found {
  readonly outcome: LookUpOutcome;
  /** Whether the record has the very id of the ref, and not one of the same text alone. */
  readonly exact: boolean;
}

const ABSENT: LookUpOutcome = { state: "absent" };
const UNWANTED: LookUpOutcome = { state: "unwanted" };

/**
 * Point look-ups: reads the keys of these ids in batches, as a reader would, and says of each whether the query gives its
 * record. A second pass asks for keys that are not UTF-8, where the first did not find the very id.
 *
 * @throws P2PError as `lookUp` of a service does
 */
export async function lookUpRecords(
  source: Keyspace,
  refs: readonly IdRef[],
  query: P2PQuery,
  { signal }: LookUpOptions,
): Promise<LookUpOutcome[]> {
  signal.throwIfAborted();
  const { settings } = source;
  const parsed = parseLookUpQuery(query, settings);
  const outcomes: LookUpOutcome[] = new Array(refs.length).fill(ABSENT);
  const first: Candidate[] = [];
  const second = new Map<number, Key>();
  for (const [index, { id }] of refs.entries()) {
    try {
      const [key, other] = keysOfId(id, settings).filter((each) => !isOwnKey(each, settings.marker));
      if (key !== undefined) first.push({ index, key });
      if (other !== undefined) second.set(index, other);
    } catch (error) {
      outcomes[index] = { state: "failed", error: toP2PError(error, "INVALID_RECORD", "This can be no record's id") };
    }
  }
  const found = new Map<number, Found>();
  for await (const [{ index }, each] of read(source, refs, first, parsed, signal)) {
    if (!second.has(index)) outcomes[index] = each.outcome;
    else if (isCertain(each)) {
      outcomes[index] = each.outcome;
      second.delete(index);
    } else found.set(index, each);
  }
  const rest = Array.from(second, ([index, key]) => ({ index, key }));
  for await (const [{ index }, each] of read(source, refs, rest, parsed, signal)) {
    outcomes[index] = better(found.get(index)!, each).outcome;
  }
  return outcomes;
}

/** Whether no other key can have a say: this is the record that is meant, and the query gives it. */
function isCertain({ outcome, exact }: Found): boolean {
  return exact && outcome.state === "wanted";
}

/** Of the two keys that an id may have the one that counts: a record of the very id, one that is wanted, the first. */
function better(a: Found, b: Found): Found {
  if (isCertain(b)) return b;
  // What cannot be read may be the very record.
  for (const each of [a, b]) if (each.outcome.state === "failed") return each;
  if (a.exact !== b.exact) return a.exact ? a : b;
  if (a.outcome.state === "absent") return b;
  return b.outcome.state === "wanted" && a.outcome.state !== "wanted" ? b : a;
}

async function* read(
  source: Keyspace,
  refs: readonly IdRef[],
  candidates: readonly Candidate[],
  query: RedisQuery,
  signal: AbortSignal,
): AsyncGenerator<[Candidate, Found]> {
  const { request } = query;
  const isRequested = keyTest(request);
  const keys = listedKeys(
    candidates.map(({ key }) => key),
    () => null,
  );
  // All of them are read, whatever the order and the filter of the query.
  const all = { ...query, filtered: true, orderBy: [] };
  let next = 0;
  for await (const { slice, fetched } of fetchAhead(source, keys, all, 0, { signal })) {
    const types = request.type === undefined ? undefined : await typesOf(source, slice.keys, signal);
    for (const [i, key] of slice.keys.entries()) {
      const candidate = candidates[next++]!;
      const type = types?.[i];
      const value = type === "none" ? undefined : fetched.values[i];
      const given = isRequested(key, type);
      yield [candidate, judge(refs[candidate.index]!, key, value, fetched.expiries[i], given)];
    }
  }

  function judge({ id }: IdRef, key: Key, value: Fetched, expiry: number | undefined, given: boolean): Found {
    const record = toRecord(key, value, expiry, source.settings);
    if (record === undefined) return { outcome: ABSENT, exact: false };
    if (record instanceof UnreadableKey) {
      return { outcome: given ? { state: "failed", error: record.error } : UNWANTED, exact: false };
    }
    const exact = valuesEqual(record.id, id);
    const wanted = given && matches(query.conditions, record);
    return { outcome: wanted ? { state: "wanted", record: pickFields(record, query.fields) } : UNWANTED, exact };
  }
}

async function typesOf({ link }: Keyspace, keys: readonly Key[], signal: AbortSignal): Promise<string[]> {
  const replies = await link.sendAll(
    "read",
    signal,
    keys.map((key) => ({ name: "type", args: [key] })),
  );
  return replies.map((reply) => {
    if (reply instanceof P2PError) throw reply;
    return String(reply);
  });
}
