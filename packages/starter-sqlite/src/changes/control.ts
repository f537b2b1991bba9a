/** Turns the journal of a table on and off, and tells how it stands. */
import {
  type ChangeStatus,
  isP2PError,
  type KeptForFollower,
  type OpenContext,
  P2PError,
} from "@omni/p2p-core/starter";
import { openAgain, openStore } from "../client/open.ts";
import { quote } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import type { SqliteEndpoint } from "../endpoint.ts";
import { onlyTable, requireTable } from "../query/relation.ts";
import { enableCommand } from "./command.ts";
import { forgetFollower, trim } from "./followers.ts";
import { FOLLOWERS, findJournal, installJournal, type Journal, removeJournals, whyNone } from "./journal.ts";
import { inTransaction } from "./transaction.ts";

/** After so many milliseconds without a word a follower is told to be silent. */
const SILENT_MS = 3_600_000;

export async function changeStatus(endpoint: SqliteEndpoint, context: OpenContext): Promise<ChangeStatus> {
  const store = await openStore(endpoint, { ...context, role: "source" });
  try {
    return await store.patiently("read", context.signal, () => store.snapshot(() => statusOf(store)));
  } finally {
    store.close();
  }
}

export async function enableChanges(endpoint: SqliteEndpoint, context: OpenContext): Promise<ChangeStatus> {
  await changeFile(endpoint, context, (store) => {
    installJournal(store, tableOf(store));
  });
  return changeStatus(endpoint, context);
}

/** A table that was dropped may have left its journal. */
export async function disableChanges(
  endpoint: SqliteEndpoint,
  context: OpenContext,
  follower?: string,
): Promise<ChangeStatus> {
  await changeFile(endpoint, context, (store) => {
    const table = tableOf(store);
    if (follower === undefined) removeJournals(store, table);
    else {
      const { journal } = findJournal(store, table);
      if (journal === undefined) return;
      forgetFollower(store, journal, follower);
      trim(store, journal);
    }
  });
  try {
    return await changeStatus(endpoint, context);
  } catch (error) {
    if (!isP2PError(error, "SOURCE_NOT_FOUND")) throw error;
    return { state: "unavailable", detail: error.message, kept: [], warnings: [] };
  }
}

/** Does something in one transaction on the file of an endpoint, which must be there. */
async function changeFile(
  endpoint: SqliteEndpoint,
  context: OpenContext,
  work: (store: SqliteStore) => void,
): Promise<void> {
  // Who opens for writing would make a file that is missing.
  const source = await openStore(endpoint, { ...context, role: "source" });
  source.close();
  const store = await openAgain(endpoint, context.connectTimeoutMs, source.inode);
  try {
    await store.patiently("written", context.signal, () => inTransaction(store, () => work(store)));
  } catch (error) {
    throw asUnavailable(error, endpoint);
  } finally {
    // Not by SqliteStore.close, which moves the write-ahead log of others into the file.
    store.db.close();
  }
}

/** A file that cannot be written cannot have a journal. */
export function asUnavailable(error: unknown, { label }: SqliteEndpoint): unknown {
  if (!isP2PError(error, "TARGET_NOT_WRITABLE")) return error;
  return new P2PError(
    "CHANGES_UNAVAILABLE",
    `${label} cannot be written by this user, and its journal of changes stands in the file itself; allow writing, or follow by --every`,
    { cause: error },
  );
}

function tableOf(store: SqliteStore): string {
  return store.endpoint.options.table ?? onlyTable(store);
}

function statusOf(store: SqliteStore): ChangeStatus {
  const name = tableOf(store);
  const given = requireTable(store, name);
  const none = whyNone(given);
  if (none !== undefined) return { state: "unavailable", detail: none, kept: [], warnings: [] };
  const { journal, broken } = findJournal(store, name);
  if (journal === undefined) {
    const detail = `"${given.name}" has no journal of changes; ${enableCommand(store.endpoint, given.name)} makes one`;
    return { state: "off", detail, kept: [], warnings: [] };
  }
  if (broken !== undefined) {
    const detail = `The journal of "${given.name}" no longer tells every change: ${broken}; a follow puts it in order when it begins, and so does ${enableCommand(store.endpoint, given.name)}`;
    return { state: "off", detail, kept: [], warnings: [] };
  }
  return {
    state: "on",
    detail: `Triggers write the keys of changed rows into the table ${journal.name} of the same file`,
    kept: keptFor(store, journal),
    warnings: warningsOf(store),
  };
}

interface FollowerRow {
  readonly follower: string;
  readonly seq: number;
  readonly seen: number;
  readonly held: number;
  readonly lost: number;
}

function keptFor(store: SqliteStore, { name, number }: Journal): KeptForFollower[] {
  const journal = `main.${quote(name)}`;
  const rows = store
    .rows(
      `SELECT follower, seq, seen, (SELECT count(*) FROM ${journal} AS j WHERE j.seq > f.seq) AS held, ` +
        `f.seq + 1 < (SELECT min(j.seq) FROM ${journal} AS j) AS lost FROM main.${FOLLOWERS} AS f WHERE f.journal = ? ORDER BY seq, follower`,
    )
    .all(number) as unknown as FollowerRow[];
  return rows.map(({ follower, seen, held, lost }) => {
    const isSilent = Date.now() - seen > SILENT_MS;
    const trouble =
      lost === 1
        ? "the journal has forgotten changes that it was not told, so it begins anew with a mirror"
        : isSilent && held > 0
          ? `nothing was heard of it since ${new Date(seen).toISOString()}; if it is no longer needed, disable it by --follower`
          : undefined;
    return { name, follower, heldChanges: held, ...(trouble !== undefined && { trouble }) };
  });
}

function warningsOf(store: SqliteStore): string[] {
  const warnings = ["Programs that write the table pay for it: each changed row writes one row more."];
  if (store.db.pragma("journal_mode", { simple: true }) !== "wal") {
    warnings.push(
      "The file is not in WAL mode, so a program that writes and a follow wait for each other; PRAGMA journal_mode = wal ends that.",
    );
  }
  return warnings;
}
