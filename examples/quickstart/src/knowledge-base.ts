import { rmSync } from "node:fs";
import Database from "better-sqlite3";
import type { Section } from "./sections.ts";

/**
 * Writes sections into a SQLite file with a schema of its own, as an application would have made it long ago: a
 * composite key, a date in milliseconds, no column named `id`.
 *
 * @returns how many there are.
 */
export function writeKnowledgeBase(file: string, sections: Iterable<Section>): number {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(file + suffix, { force: true });
  const database = new Database(file);
  try {
    database.exec(`CREATE TABLE sections (
      package TEXT NOT NULL,
      path TEXT NOT NULL,
      ordinal INTEGER NOT NULL,
      level INTEGER NOT NULL,
      heading TEXT NOT NULL,
      body TEXT NOT NULL,
      modified_ms INTEGER NOT NULL,
      PRIMARY KEY (package, path, ordinal)
    )`);
    const insert = database.prepare("INSERT INTO sections VALUES (?, ?, ?, ?, ?, ?, ?)");
    let count = 0;
    database.transaction(() => {
      for (const { package: name, path, ordinal, level, heading, body, modified } of sections) {
        insert.run(name, path, ordinal, level, heading, body, modified.getTime());
        count++;
      }
    })();
    return count;
  } finally {
    database.close();
  }
}
