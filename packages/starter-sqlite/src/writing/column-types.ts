import { quote } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";

/**
 * Gives declared types to columns that were made without one and hold nothing but NULL. SQLite has no statement for it;
 * its documentation describes this way for changes that leave the content of the table as it is. It must be called in a
 * transaction, which takes it back when it is rolled back.
 *
 * @param types declared types by column.
 * @returns whether anything was changed: a table whose SQL others have rewritten is left alone.
 */
export function declareTypes(store: SqliteStore, table: string, types: ReadonlyMap<string, string>): boolean {
  const { db } = store;
  const sql = store
    .values("SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE")
    .get(table) as string;
  let changed = sql;
  for (const [column, type] of types) changed = withType(changed, column, type) ?? changed;
  if (changed === sql) return false;
  const version = store.schemaVersion();
  db.unsafeMode(true);
  try {
    db.pragma("writable_schema = ON");
    db.prepare("UPDATE main.sqlite_schema SET sql = ? WHERE type = 'table' AND name = ? COLLATE NOCASE").run(
      changed,
      table,
    );
    db.pragma(`schema_version = ${version + 1}`);
  } finally {
    // Also makes the connection read the schema anew.
    db.pragma("writable_schema = RESET");
    db.unsafeMode(false);
  }
  store.forgetTable();
  return true;
}

/** The SQL of a table in which a column that has nothing but a name has a type; `undefined` where there is no such column. */
function withType(sql: string, column: string, type: string): string | undefined {
  const name = quote(column);
  for (const { start, end } of definitions(sql) ?? []) {
    if (sql.slice(start, end).trim() !== name) continue;
    const at = start + sql.slice(start, end).trimEnd().length;
    return `${sql.slice(0, at)} ${type}${sql.slice(at)}`;
  }
  return undefined;
}

/** Where the definitions of columns and constraints stand in the SQL of a table; `undefined` when it has comments. */
function definitions(sql: string): { start: number; end: number }[] | undefined {
  const found: { start: number; end: number }[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < sql.length; at++) {
    const character = sql[at]!;
    if (sql.startsWith("--", at) || sql.startsWith("/*", at)) return undefined;
    const close = character === "[" ? "]" : QUOTES.includes(character) ? character : undefined;
    if (close !== undefined) {
      // A doubled quote inside looks like the end of one text and the start of the next, which comes to the same.
      at = sql.indexOf(close, at + 1);
      if (at < 0) return undefined;
    } else if (character === "(") {
      if (depth++ === 0) start = at + 1;
    } else if (character === ")") {
      if (--depth === 0) return [...found, { start, end: at }];
    } else if (character === "," && depth === 1) {
      found.push({ start, end: at });
      start = at + 1;
    }
  }
  return undefined;
}

const QUOTES = "\"'`";
