import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";

/** Writes so many documents into a new SQLite file, to have something to transfer. */
export function writeKnowledgeBase(file: string, documents: number): void {
  mkdirSync(dirname(file), { recursive: true });
  const database = new Database(file);
  try {
    database.exec("CREATE TABLE docs (id INTEGER PRIMARY KEY, type TEXT, title TEXT, created TIMESTAMP)");
    const insert = database.prepare("INSERT INTO docs VALUES (?, ?, ?, ?)");
    database.transaction(() => {
      for (let id = 1; id <= documents; id++) {
        insert.run(id, id % 2 ? "note" : "knowledge", `Title ${id}`, new Date(id * 60_000).toISOString());
      }
    })();
  } finally {
    database.close();
  }
}
