/** Code generation of the triggers that write the keys of changed rows into a journal. */
import { constantDefaults } from "../client/declared-table.ts";
import { quote } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import type { Table } from "../client/table.ts";
import { CHANGES_MARK, SIDECAR } from "../types.ts";
import { indexTerms } from "./index-terms.ts";

/** A trigger: its name, and its SQL after the words CREATE TRIGGER, which is how SQLite keeps it. */
export interface Trigger {
  readonly name: string;
  readonly sql: string;
}

/** Something that no two rows share, and by which REPLACE may delete a row without a word to the delete triggers. */
interface Uniqueness {
  /** Holds for the rows that a new one would take the place of. */
  readonly condition: string;
  /** The columns whose change matters; `undefined` where that is not known. */
  readonly columns: readonly string[] | undefined;
}

/** The columns of a journal in which the key of a row stands. */
export function journalColumns({ key, own }: Table): string[] {
  return [...key.columns.map((_, at) => `k${at}`), ...(own ? ["side"] : [])];
}

/**
 * The triggers of a table, for its journal.
 *
 * Deletes that REPLACE makes fire no delete trigger where `recursive_triggers` is off, as it is by default: BEFORE INSERT and
 * BEFORE UPDATE look which rows the new one would take the place of. What they name too much does no harm.
 *
 * @returns the name of the index in `unclear` where one cannot be understood.
 */
export function journalTriggers(
  store: SqliteStore,
  table: Table,
  journal: string,
): { readonly triggers: readonly Trigger[]; readonly unclear?: string } {
  const target = `INSERT INTO ${quote(journal)} (${journalColumns(table).join(", ")})`;
  const on = quote(table.name);
  const trigger = (event: string, when: string, statements: readonly string[]): Trigger => {
    const name = `${journal}_${event}`;
    return { name, sql: `${quote(name)} ${when} ON ${on} BEGIN ${CHANGES_MARK} ${statements.join("; ")}; END` };
  };
  const triggers = [
    trigger("insert", "AFTER INSERT", [`${target} VALUES (${cells(table, "NEW.")})`]),
    trigger("update", "AFTER UPDATE", [
      `${target} SELECT ${cells(table, "OLD.")} WHERE ${otherKey(table, "OLD.", "NEW.")}`,
      `${target} VALUES (${cells(table, "NEW.")})`,
    ]),
    trigger("delete", "AFTER DELETE", [`${target} VALUES (${cells(table, "OLD.")})`]),
  ];
  const found = uniquenesses(store, table);
  if (typeof found === "string") return { triggers, unclear: found };
  if (found.length === 0) return { triggers };
  const replaced = (row: "NEW." | "OLD.") =>
    found.map(
      ({ condition }) =>
        `${target} SELECT ${cells(table, "")} FROM ${on} WHERE ${condition} AND (${otherKey(table, "", row)})`,
    );
  const columns = found.flatMap((one) => one.columns ?? []);
  const of = found.every((one) => one.columns !== undefined)
    ? ` OF ${[...new Set(columns)].map(quote).join(", ")}`
    : "";
  return {
    triggers: [
      ...triggers,
      trigger("before_insert", "BEFORE INSERT", replaced("NEW.")),
      trigger("before_update", `BEFORE UPDATE${of}`, replaced("OLD.")),
    ],
  };
}

/** What goes into the journal for a row; of a table of ours also the sidecar, where the id itself may stand in it. */
function cells({ key, own }: Table, row: string): string {
  const side = `${row}${quote(SIDECAR)}`;
  const list = key.columns.map(({ column }) => `${row}${quote(column.name)}`);
  return [...list, ...(own ? [`CASE WHEN instr(${side}, '"id"') THEN ${side} END`] : [])].join(", ");
}

/** Whether two rows have different keys, however the columns compare. */
function otherKey({ key }: Table, one: string, other: string): string {
  return key.columns
    .map(({ column }) => `${one}${quote(column.name)} COLLATE BINARY IS NOT ${other}${quote(column.name)}`)
    .join(" OR ");
}

interface IndexRow {
  readonly name: string;
  readonly partial: number;
  readonly sql: string | null;
}

interface TermRow {
  readonly cid: number;
  readonly name: string | null;
  readonly coll: string;
}

/** @returns the name of an index that cannot be understood, as a text. */
function uniquenesses(store: SqliteStore, table: Table): readonly Uniqueness[] | string {
  const found: Uniqueness[] = [];
  const keyNames = table.key.columns.map(({ column }) => column.name);
  const plain = new Set(table.columns.filter(({ generated }) => !generated).map(({ name }) => name));
  const isKey = (names: readonly (string | null)[]) =>
    names.length === keyNames.length && keyNames.every((name) => names.includes(name));
  if (table.rowid !== undefined && !table.key.isRowid) {
    // A row can be replaced by its rowid too, be it named or not.
    found.push({ condition: `${table.rowid} = NEW.${table.rowid}`, columns: undefined });
  }
  const defaults = constantDefaults(store, table.name);
  const indexes = store.db
    .prepare<[string], IndexRow>(
      "SELECT l.name, l.partial, s.sql FROM pragma_index_list(?) AS l LEFT JOIN main.sqlite_schema AS s ON s.type = 'index' AND s.name = l.name " +
        'WHERE l."unique" = 1 ORDER BY l.name',
    )
    .all(table.name);
  for (const index of indexes) {
    const rows = store.db
      .prepare<[string], TermRow>("SELECT cid, name, coll FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno")
      .all(index.name);
    const names = rows.map(({ name }) => name);
    const hasExpression = names.includes(null);
    const isPartial = index.partial === 1;
    // A row of the very same key is named anyway.
    if (!isPartial && isKey(names) && rows.every(({ coll }) => coll === "BINARY")) continue;
    const parsed = hasExpression || isPartial ? indexTerms(index.sql ?? "") : undefined;
    if ((hasExpression || isPartial) && parsed?.terms.length !== rows.length) return index.name;
    const conditions = rows.map(({ name, coll }, at) =>
      name === null
        ? `(${parsed!.terms[at]}) = ${onNew(table, defaults, parsed!.terms[at]!)}`
        : `${quote(name)} COLLATE ${quote(coll)} = ${newCell(table, defaults, name)}`,
    );
    if (parsed?.predicate !== undefined) conditions.unshift(`(${parsed.predicate})`);
    const columns =
      hasExpression || isPartial || names.some((name) => !plain.has(name!)) ? undefined : (names as string[]);
    found.push({ condition: conditions.join(" AND "), columns });
  }
  return found;
}

/** The cell of the new row; where REPLACE would put the default in the place of NULL, that. */
function newCell(table: Table, defaults: ReadonlyMap<string, string>, name: string): string {
  const cell = `NEW.${quote(name)}`;
  const isNotNull = table.columns.some((column) => column.name === name && column.notNull);
  return isNotNull && defaults.has(name) ? `coalesce(${cell}, ${defaults.get(name)})` : cell;
}

/** An expression over the columns of the new row. */
function onNew(table: Table, defaults: ReadonlyMap<string, string>, expression: string): string {
  const list = table.columns.map(({ name }) => `${newCell(table, defaults, name)} AS ${quote(name)}`);
  return `(SELECT ${expression} FROM (SELECT ${list.join(", ")}))`;
}
