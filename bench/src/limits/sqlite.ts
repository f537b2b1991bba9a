import Database from "better-sqlite3";
import { columns } from "../data.ts";

const PAGE = 500;
const names = ["id", ...columns];

/** A record as the hand-written loops know it: what better-sqlite3 returns. */
export type Row = Record<string, unknown> & { readonly id: string };

/** Reads a table by keyset, page by page, with one prepared statement. */
function* readByKeyset(file: string): Generator<Row[]> {
  const database = new Database(file, { readonly: true });
  try {
    const next = database.prepare<[string, number], Row>(
      `SELECT ${names.join(", ")} FROM docs WHERE id > ? ORDER BY id LIMIT ?`,
    );
    let last = "";
    for (;;) {
      const page = next.all(last, PAGE);
      if (page.length === 0) return;
      yield page;
      last = page.at(-1)!.id;
    }
  } finally {
    database.close();
  }
}

/** The best loop from SQLite into a `Map`. */
export function sqliteToMap(file: string): Map<string, Row> {
  const target = new Map<string, Row>();
  for (const page of readByKeyset(file)) for (const row of page) target.set(row.id, row);
  return target;
}

/** The best loop from SQLite to SQLite: upsert by a prepared statement, one transaction a page. */
export function sqliteToSqlite(file: string, target: string): void {
  const database = new Database(target);
  try {
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = NORMAL");
    database.exec(
      "CREATE TABLE docs (id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT, kind TEXT, words NUMERIC, rank NUMERIC)",
    );
    const upsert = database.prepare(
      `INSERT INTO docs (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})
       ON CONFLICT (id) DO UPDATE SET ${columns.map((name) => `${name} = excluded.${name}`).join(", ")}`,
    );
    const write = database.transaction((page: readonly Row[]) => {
      for (const row of page) upsert.run(row.id, row.title, row.body, row.kind, row.words, row.rank);
    });
    for (const page of readByKeyset(file)) write(page);
  } finally {
    database.close();
  }
}
