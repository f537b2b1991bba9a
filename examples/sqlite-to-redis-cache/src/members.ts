import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";

/** Writes 200 members, unless the file is there. */
export function openMembers(file: string): void {
  if (existsSync(file)) return;
  mkdirSync(dirname(file), { recursive: true });
  withDatabase(file, (database) => {
    database.pragma("journal_mode = WAL");
    database.exec("CREATE TABLE members (id INTEGER PRIMARY KEY, name TEXT, mail TEXT)");
    const insert = database.prepare("INSERT INTO members VALUES (?, ?, ?)");
    for (let id = 1; id <= 200; id++) insert.run(id, `member ${id}`, `${id}@old.example`);
  });
}

/** What programs do that know nothing of a cache: one member moves, and one leaves. */
export function membersChange(file: string): void {
  withDatabase(file, (database) => {
    database.exec("UPDATE members SET mail = '7@new.example' WHERE id = 7");
    database.exec("DELETE FROM members WHERE id = 9");
  });
}

function withDatabase(file: string, use: (database: Database.Database) => void): void {
  const database = new Database(file);
  try {
    use(database);
  } finally {
    database.close();
  }
}
