/** The journal of a table's changes: a table in the same file, filled by triggers. */
import { randomUUID } from "node:crypto";
import { P2PError } from "@omni/p2p-core/starter";
import { literal, quote } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import { isOfChanges, type Table } from "../client/table.ts";
import { requireTable } from "../query/relation.ts";
import { CHANGES_MARK } from "../types.ts";
import { journalColumns, journalTriggers, type Trigger } from "./triggers.ts";

/** The journals that there are in a file. */
const REGISTRY = "p2p_changes";
/** What each follower has settled. */
export const FOLLOWERS = "p2p_followers";

/** A journal, as the registry knows it. */
export interface Journal {
  readonly number: number;
  /** The table in which it stands. */
  readonly name: string;
  /** Another one whenever changes may have been missed: positions of one epoch mean nothing in the next. */
  readonly epoch: string;
}

/** How it stands with the journal of a table. */
export interface JournalState {
  /** Absent when there is no table of that name. */
  readonly table?: Table;
  /** Absent when none was asked for. */
  readonly journal?: Journal;
  /** Why changes may have been missed, where that is so. */
  readonly broken?: string;
}

interface RegistryRow {
  readonly number: number;
  readonly epoch: string;
  readonly shape: string;
  readonly limit: number;
}

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly tbl_name: string;
  readonly sql: string | null;
}

/** Looks at the journal of a table, and whether everything that fills it is in place. To be called in a snapshot. */
export function findJournal(store: SqliteStore, tableName: string): JournalState {
  const table = store.table(tableName);
  if (table === undefined) return {};
  const row = registryRow(store, table);
  if (row === undefined) return { table };
  const journal = { number: row.number, name: journalName(row.number), epoch: row.epoch };
  const broken = whatIsBroken(store, table, journal, row);
  return { table, journal, ...(broken !== undefined && { broken }) };
}

function whatIsBroken(
  store: SqliteStore,
  table: Table,
  journal: Journal,
  row: Pick<RegistryRow, "shape" | "limit">,
): string | undefined {
  const there = new Map(ownSchema(store).map((entry) => [`${entry.type} ${entry.name}`, entry]));
  if (!there.has(`table ${journal.name}`) || !there.has(`table ${FOLLOWERS}`)) return "its journal was dropped";
  if (hasNoRows(store, journal)) return "its journal was emptied by another program";
  if (row.shape !== shapeOf(store, table)) return "the table was rebuilt, or its columns were changed";
  const expected = [...journalTriggers(store, table, journal.name).triggers, limitTrigger(journal.name, row.limit)];
  const isThere = ({ name, sql }: Trigger) => there.get(`trigger ${name}`)?.sql === `CREATE TRIGGER ${sql}`;
  return expected.every(isThere) ? undefined : "its triggers were dropped, or its unique indexes have changed";
}

/** The newest row is never deleted, so that numbers go on where the sequences of a file are set back. */
function hasNoRows(store: SqliteStore, { name }: Journal): boolean {
  return store.values(`SELECT 1 FROM main.${quote(name)} LIMIT 1`).get() === undefined;
}

/**
 * Makes the journal of a table, or puts it in order. To be called in a transaction.
 *
 * @throws P2PError `CHANGES_UNAVAILABLE` for a table that can have none.
 */
export function installJournal(store: SqliteStore, tableName: string): Journal {
  const limit = store.endpoint.options.journalLimit;
  const table = requireTable(store, tableName);
  const trouble = whyNone(table);
  if (trouble !== undefined) throw new P2PError("CHANGES_UNAVAILABLE", `${store.endpoint.label}: ${trouble}`);
  const { journal, broken } = findJournal(store, tableName);
  if (journal !== undefined && broken === undefined) {
    changeLimit(store, journal, limit);
    return journal;
  }
  if (journal !== undefined) dropJournal(store, journal.number);
  makeRegistry(store);
  const epoch = randomUUID();
  const { lastInsertRowid } = store.db
    .prepare(
      `INSERT INTO main.${REGISTRY} ("number", "table", "key", "epoch", "shape", "limit") VALUES (?, ?, ?, ?, ?, ?)`,
    )
    .run(journal?.number ?? null, table.name, keyText(store), epoch, shapeOf(store, table), limit);
  const number = Number(lastInsertRowid);
  const name = journalName(number);
  assertFree(store, name);
  const { triggers, unclear } = journalTriggers(store, table, name);
  if (unclear !== undefined) {
    throw new P2PError(
      "CHANGES_UNAVAILABLE",
      `${store.endpoint.label}: the unique index "${unclear}" of "${table.name}" is not understood, so that rows which REPLACE deletes could be missed; drop it, or make it on plain columns`,
    );
  }
  store.db.exec(
    `CREATE TABLE main.${quote(name)} (${CHANGES_MARK} seq INTEGER PRIMARY KEY AUTOINCREMENT, ` +
      `at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)), ` +
      `${journalColumns(table).join(", ")}); INSERT INTO main.${quote(name)} DEFAULT VALUES`,
  );
  for (const { sql } of [...triggers, limitTrigger(name, limit)]) store.db.exec(`CREATE TRIGGER main.${sql}`);
  return { number, name, epoch };
}

/** Why a table can have no journal; `undefined` where it can. */
export function whyNone(table: Table): string | undefined {
  if (table.type !== "table") {
    const what = table.type === "view" ? "a view" : "a virtual table";
    return `"${table.name}" is ${what}, which has no triggers that tell of changes; follow the tables behind it, or follow by --every`;
  }
  if (table.key.columns.length > 0) return undefined;
  return `"${table.name}" has no key, and VACUUM may give its rows other rowids; give it a PRIMARY KEY, or name a unique column by the option key`;
}

/** Takes away the journals of a table. To be called in a transaction. */
export function removeJournals(store: SqliteStore, tableName: string): void {
  const hasRegistry = ownSchema(store).some(({ type, name }) => type === "table" && name === REGISTRY);
  const key = store.keyOption && keyText(store);
  if (hasRegistry) {
    const rows = store.db
      .prepare<[string, string | null], RegistryRow>(
        `SELECT "number" FROM main.${REGISTRY} WHERE "table" = ? AND "key" = coalesce(?, "key")`,
      )
      .all(tableName, key ?? null);
    for (const { number } of rows) dropJournal(store, number);
  }
  // Without a registry nobody knows them any more, and triggers without a journal would break every write.
  const known = hasRegistry
    ? (store.db.prepare(`SELECT "number" FROM main.${REGISTRY}`).pluck().all() as number[]).map(journalName)
    : [];
  for (const { type, name } of ownSchema(store)) {
    const of = known.some((journal) => name === journal || name.startsWith(`${journal}_`));
    if (!of && name !== REGISTRY && name !== FOLLOWERS) drop(store, type, name);
  }
  if (known.length > 0) return;
  for (const { type, name } of ownSchema(store)) drop(store, type, name);
}

function dropJournal(store: SqliteStore, number: number): void {
  const journal = journalName(number);
  const entries = ownSchema(store);
  for (const { type, name } of entries) {
    if (type === "trigger" && name.startsWith(`${journal}_`)) drop(store, type, name);
  }
  for (const { type, name } of entries) if (type === "table" && name === journal) drop(store, type, name);
  store.db.prepare(`DELETE FROM main.${REGISTRY} WHERE "number" = ?`).run(number);
  if (entries.some(({ name }) => name === FOLLOWERS)) {
    store.db.prepare(`DELETE FROM main.${FOLLOWERS} WHERE "journal" = ?`).run(number);
  }
}

function drop(store: SqliteStore, type: string, name: string): void {
  store.db.exec(`DROP ${type.toUpperCase()} IF EXISTS main.${quote(name)}`);
}

function makeRegistry(store: SqliteStore): void {
  for (const name of [REGISTRY, FOLLOWERS]) assertFree(store, name);
  store.db.exec(
    `CREATE TABLE IF NOT EXISTS main.${REGISTRY} (${CHANGES_MARK} "number" INTEGER PRIMARY KEY AUTOINCREMENT, ` +
      `"table" TEXT NOT NULL COLLATE NOCASE, "key" TEXT NOT NULL, "epoch" TEXT NOT NULL, "shape" TEXT NOT NULL, "limit" INTEGER NOT NULL, UNIQUE ("table", "key"));` +
      `CREATE TABLE IF NOT EXISTS main.${FOLLOWERS} (${CHANGES_MARK} "journal" INTEGER NOT NULL, "follower" TEXT NOT NULL, ` +
      `"seq" INTEGER NOT NULL, "seen" INTEGER NOT NULL, PRIMARY KEY ("journal", "follower"))`,
  );
}

/** Makes sure that a name is not one of the user's own. */
function assertFree(store: SqliteStore, name: string): void {
  const taken = store.db
    .prepare<[string], SchemaRow>("SELECT type, sql FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE")
    .get(name);
  if (taken === undefined || isOfChanges(taken.sql)) return;
  throw new P2PError(
    "CHANGES_UNAVAILABLE",
    `${store.endpoint.label}: the name "${name}", which the journal of changes needs, is that of a ${taken.type} of yours; rename it`,
  );
}

function changeLimit(store: SqliteStore, { name, number }: Journal, limit: number): void {
  const current = store.db.prepare(`SELECT "limit" FROM main.${REGISTRY} WHERE "number" = ?`).pluck().get(number);
  if (current === limit) return;
  const { sql, name: trigger } = limitTrigger(name, limit);
  drop(store, "trigger", trigger);
  store.db.exec(`CREATE TRIGGER main.${sql}`);
  store.db.prepare(`UPDATE main.${REGISTRY} SET "limit" = ? WHERE "number" = ?`).run(limit, number);
}

/** Forgets the oldest changes now and then, so that a follower which never comes back does not fill the disk. */
function limitTrigger(journal: string, limit: number): Trigger {
  const name = `${journal}_limit`;
  const step = Math.max(1, Math.min(1000, Math.floor(limit / 10)));
  const sql =
    `${quote(name)} AFTER INSERT ON ${quote(journal)} WHEN NEW.seq % ${step} = 0 BEGIN ${CHANGES_MARK} ` +
    `DELETE FROM ${quote(journal)} WHERE seq <= NEW.seq - ${limit}; END`;
  return { name, sql };
}

function registryRow(store: SqliteStore, table: Table): RegistryRow | undefined {
  if (!ownSchema(store).some(({ type, name }) => type === "table" && name === REGISTRY)) return undefined;
  return store
    .rows(`SELECT "number", "epoch", "shape", "limit" FROM main.${REGISTRY} WHERE "table" = ? AND "key" = ?`)
    .get(table.name, keyText(store)) as RegistryRow | undefined;
}

/** All that `changes enable` has made. */
function ownSchema(store: SqliteStore): SchemaRow[] {
  return store
    .rows(`SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE instr(sql, ${literal(CHANGES_MARK)}) > 0`)
    .all() as unknown as SchemaRow[];
}

function journalName(number: number): string {
  return `${REGISTRY}_${number}`;
}

/** Each key by which rows are named has a journal of its own: empty for the table's, else the option `key`. */
function keyText({ keyOption }: SqliteStore): string {
  return keyOption === undefined ? "" : JSON.stringify(keyOption);
}

/** Changes when a table is made anew in another form, or its columns change: its records are others then, without a trigger having seen it. */
function shapeOf(store: SqliteStore, table: Table): string {
  return String(
    store.values("SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE").get(table.name),
  );
}
