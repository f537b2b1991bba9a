import {
  type DeleteOptions,
  type DeleteRef,
  type DeleteResult,
  isP2PError,
  type P2PError,
  recordDigest,
  toP2PError,
  type WriteFailure,
} from "@omni/p2p-core/starter";
import type { Command } from "../client/command.ts";
import type { Key } from "../client/keys.ts";
import type { Keyspace } from "../client/keyspace.ts";
import { isOwnKey } from "../client/leases.ts";
import { keysToDelete } from "../query/id-keys.ts";
import { fetchAhead } from "../reading/fetch-ahead.ts";
import { listedKeys } from "../reading/order/key-source.ts";
import { comparableDump } from "../values/dump-value.ts";
import { fetchedBytes, toRecord, UnreadableKey } from "../values/read-record.ts";
import { grouped } from "./command-groups.ts";
import { deleteUnchanged, type ReadKey } from "./delete-unchanged.ts";
import { throwIfUnusable } from "./unusable-store.ts";

/** A key of a ref. */
interface Deletion {
  readonly index: number;
  readonly key: Key;
  readonly expected: string | undefined;
}

/** A key whose record is the expected one. */
interface ReadDeletion extends Deletion, ReadKey {
  readonly bytes: number;
}

type Outcome = "deleted" | "absent" | "changed" | P2PError;

/** Keys in one pipeline of plain deletes. */
const PIPELINE_KEYS = 1000;
/** How often a record is read anew that is the expected one each time and was written between reading and deleting. */
const MOST_TRIES = 5;

/**
 * Deletes records by id, by UNLINK. Where a digest is expected, by optimistic compare-and-delete: the key is read, and a
 * script deletes it if it holds the very same still.
 */
export async function deleteRecords(
  target: Keyspace,
  refs: readonly DeleteRef[],
  { signal }: DeleteOptions,
): Promise<DeleteResult> {
  signal.throwIfAborted();
  const { settings } = target;
  const outcomes = new Outcomes(refs.length);
  const plain: Deletion[] = [];
  let expecting: Deletion[] = [];
  for (const [index, { id, expected }] of refs.entries()) {
    try {
      for (const key of keysToDelete(id, settings)) {
        if (isOwnKey(key, settings.marker)) continue;
        (expected === undefined ? plain : expecting).push({ index, key, expected });
      }
    } catch (error) {
      outcomes.add(index, toP2PError(error, "INVALID_RECORD", "This can be no record's id"));
    }
  }
  for (let from = 0; from < plain.length; from += PIPELINE_KEYS) {
    await unlink(target, plain.slice(from, from + PIPELINE_KEYS), outcomes, signal);
  }
  for (let tries = 0; expecting.length > 0; tries++) {
    if (tries < MOST_TRIES) expecting = await deleteExpected(target, expecting, outcomes, signal);
    else for (const { index } of expecting.splice(0)) outcomes.add(index, "changed");
  }
  return outcomes.result(refs);
}

/** What became of each ref; the key of another form of an id has its say too. */
class Outcomes {
  readonly #outcomes: Outcome[];

  constructor(count: number) {
    this.#outcomes = new Array(count).fill("absent");
  }

  add(index: number, outcome: Outcome): void {
    const before = this.#outcomes[index]!;
    if (isP2PError(before) || outcome === "absent") return;
    if (isP2PError(outcome) || before !== "deleted") this.#outcomes[index] = outcome;
  }

  result(refs: readonly DeleteRef[]): DeleteResult {
    const changed: number[] = [];
    const failures: WriteFailure[] = [];
    let [deleted, absent] = [0, 0];
    for (const [index, outcome] of this.#outcomes.entries()) {
      if (outcome === "deleted") deleted++;
      else if (outcome === "absent") absent++;
      else if (outcome === "changed") changed.push(index);
      else failures.push({ index, id: refs[index]!.id, error: outcome });
    }
    if (failures.length === refs.length) throwIfUnusable(failures);
    return { deleted, absent, changed, failures };
  }
}

async function unlink(
  { link }: Keyspace,
  deletions: readonly Deletion[],
  outcomes: Outcomes,
  signal: AbortSignal,
): Promise<void> {
  const commands = deletions.map(({ key }): Command => ({ name: "unlink", args: [key] }));
  for (const [i, reply] of (await link.sendAll("write", signal, commands)).entries()) {
    outcomes.add(deletions[i]!.index, isP2PError(reply) ? reply : reply === 0 ? "absent" : "deleted");
  }
}

/** Deletes those whose record is the expected one; resolves with those that were written meanwhile. */
async function deleteExpected(
  target: Keyspace,
  deletions: readonly Deletion[],
  outcomes: Outcomes,
  signal: AbortSignal,
): Promise<Deletion[]> {
  const { settings } = target;
  const overtaken: Deletion[] = [];
  const keys = listedKeys(
    deletions.map(({ key }) => key),
    () => null,
  );
  const all = { filtered: true, limit: Infinity, orderBy: [] };
  let next = 0;
  for await (const { slice, fetched } of fetchAhead(target, keys, all, 0, { signal })) {
    const ready: ReadDeletion[] = [];
    for (const [i, key] of slice.keys.entries()) {
      const deletion = deletions[next++]!;
      const [value, expiry] = [fetched.values[i], fetched.expiries[i]];
      const record = toRecord(key, value, expiry, settings);
      if (record === undefined) continue;
      // What cannot be read is not what was read once.
      if (record instanceof UnreadableKey || value === undefined || isP2PError(value)) {
        outcomes.add(deletion.index, "changed");
      } else if (isExpected(record, deletion.expected!, settings.format === "dump")) {
        ready.push({ ...deletion, value, expiry, bytes: fetchedBytes(value) });
      } else outcomes.add(deletion.index, "changed");
    }
    overtaken.push(...(await compareAndDelete(target, ready, outcomes, signal)));
  }
  return overtaken;
}

/** The dump of a hash table differs from time to time; what it means does not. */
function isExpected(record: Parameters<typeof recordDigest>[0], expected: string, dump: boolean): boolean {
  return recordDigest(record) === expected || (dump && recordDigest(comparableDump(record)) === expected);
}

async function compareAndDelete(
  { link, settings, tellsExpiry }: Keyspace,
  deletions: readonly ReadDeletion[],
  outcomes: Outcomes,
  signal: AbortSignal,
): Promise<Deletion[]> {
  if (deletions.length === 0) return [];
  const check = { matters: settings.ttlField !== undefined, told: tellsExpiry };
  // A script of a cluster may touch keys of one slot only.
  const groups = link.clustered ? deletions.map((deletion) => [deletion]) : grouped(deletions);
  const commands = groups.map((group) => deleteUnchanged(group, check));
  const overtaken: Deletion[] = [];
  for (const [n, reply] of (await link.sendAll("write", signal, commands)).entries()) {
    for (const [i, deletion] of groups[n]!.entries()) {
      const outcome = isP2PError(reply) ? reply : (reply as readonly (number | Buffer)[])[i]!;
      if (outcome === 2) overtaken.push(deletion);
      else if (isP2PError(outcome)) outcomes.add(deletion.index, outcome);
      else if (typeof outcome === "number") outcomes.add(deletion.index, outcome === 1 ? "deleted" : "absent");
      else outcomes.add(deletion.index, link.replyError(outcome, "write"));
    }
  }
  return overtaken;
}
