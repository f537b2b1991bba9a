import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";

const ARTICLES: readonly (readonly [title: string, tags: string, body: string])[] = [
  ["Keyset paging", "databases,paging", "<p>Remember the last key, and ask for what comes <em>after</em> it.</p>"],
  ["Why OFFSET is slow", "databases,paging", "<p>The server walks over every row that it then throws away.</p>"],
  ["Back-pressure", "streams", "<p>A reader that is faster than the writer must wait, or memory grows.</p>"],
  ["Idempotent writes", "databases,retry", "<p>Writing twice leaves what writing once does, so a retry is safe.</p>"],
  ["Jitter", "retry", "<p>Clients that wait for a random time do not all come back at once.</p>"],
  ["Checkpoints", "streams,retry", "<p>Write down how far you came, and begin there after a crash.</p>"],
  ["Inverted indexes", "search", "<p>For every word a list of the documents that hold it.</p>"],
  ["Analyzers", "search", "<p>A text becomes words: lower case, without endings, without marks.</p>"],
];

/** Writes articles into a new SQLite file, as a content system would have them: HTML, tags in one column, drafts. */
export function writeArticles(file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  rmSync(file, { force: true });
  const database = new Database(file);
  try {
    database.exec(`CREATE TABLE articles (
      number INTEGER PRIMARY KEY, title TEXT, tags TEXT, html TEXT, draft BOOLEAN, published TIMESTAMP
    )`);
    const insert = database.prepare("INSERT INTO articles VALUES (?, ?, ?, ?, ?, ?)");
    database.transaction(() => {
      for (const [index, [title, tags, html]] of ARTICLES.entries()) {
        insert.run(index + 1, title, tags, html, index === 4 ? 1 : 0, new Date(Date.UTC(2024, index)).toISOString());
      }
    })();
  } finally {
    database.close();
  }
}
