import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";

/** Where the data and the targets of a run are. */
export const workFolder = process.env.P2P_BENCH_FOLDER ?? join(import.meta.dirname, "..", ".cache");

/** Columns of the measured table, after its key. */
export const columns = ["title", "body", "kind", "words", "rank"] as const;

/**
 * A SQLite file with so many records of about 600 bytes: paragraphs of the repository's own documents and of its
 * installed packages, repeated with other keys until there are enough. Made once and kept.
 *
 * @returns the file's path; the table is `docs`, its key `id` a text that grows.
 */
export function sourceFile(records: number): string {
  mkdirSync(workFolder, { recursive: true });
  const file = join(workFolder, `source-${records}.db`);
  if (existsSync(file)) return file;
  const unfinished = `${file}.tmp`;
  rmSync(unfinished, { force: true });
  const paragraphs = collectParagraphs();
  const database = new Database(unfinished);
  database.pragma("journal_mode = OFF");
  database.exec(
    "CREATE TABLE docs (id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT, kind TEXT, words INTEGER, rank REAL)",
  );
  const insert = database.prepare("INSERT INTO docs VALUES (?, ?, ?, ?, ?, ?)");
  database.transaction(() => {
    for (let i = 0; i < records; i++) {
      const body = paragraphs[i % paragraphs.length]!;
      insert.run(
        `doc-${String(i).padStart(9, "0")}`,
        body.slice(0, 40),
        body,
        i % 3 ? "knowledge" : "note",
        body.length >> 3,
        i / 7,
      );
    }
  })();
  database.close();
  renameSync(unfinished, file);
  return file;
}

/** Texts of about 500 characters from real Markdown. */
function collectParagraphs(): string[] {
  const root = join(import.meta.dirname, "..", "..");
  const store = join(root, "node_modules", ".pnpm");
  const texts: string[] = [];
  for (const entry of readdirSync(store)) {
    const readme = join(store, entry, "node_modules", entry.replace(/@[^@]*$/, "").replace("+", "/"), "README.md");
    if (existsSync(readme)) texts.push(readFileSync(readme, "utf8").toWellFormed());
  }
  const all = texts.sort().join("\n");
  const paragraphs: string[] = [];
  for (let at = 0; at + 500 <= all.length && paragraphs.length < 20_000; at += 500)
    paragraphs.push(all.slice(at, at + 500).toWellFormed());
  return paragraphs;
}

/** Removes a database file and what belongs to it. */
export function removeDatabase(file: string): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(file + suffix, { force: true });
}
