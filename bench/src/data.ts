import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { SQLITE_TABLE } from "./places.ts";
import { SHAPES, type ShapeName } from "./shapes.ts";

/** Where the data and the targets of a run are. */
export const workFolder = process.env.P2P_BENCH_FOLDER ?? join(import.meta.dirname, "..", ".cache");

/** The path of a SQLite file with so many records of a shape, made once and kept. */
export function sourceFile(shapeName: ShapeName, records: number): string {
  mkdirSync(workFolder, { recursive: true });
  const file = join(workFolder, `source-${shapeName}-${records}.db`);
  if (existsSync(file)) return file;
  const unfinished = `${file}.tmp`;
  rmSync(unfinished, { force: true });
  makeSource(unfinished, shapeName, records);
  renameSync(unfinished, file);
  return file;
}

/**
 * Makes a SQLite file with so many records of a shape; the key `id` is a text that grows. Their texts are paragraphs of
 * the installed packages' documents, repeated with other keys until there are enough.
 */
export function makeSource(file: string, shapeName: ShapeName, records: number): void {
  const shape = SHAPES[shapeName];
  const texts = collectParagraphs();
  const database = new Database(file);
  database.pragma("journal_mode = OFF");
  const columns = shape.columns.map(({ name, declared }) => `${name} ${declared}`);
  database.exec(`CREATE TABLE ${SQLITE_TABLE} (id TEXT PRIMARY KEY NOT NULL, ${columns.join(", ")})`);
  const insert = database.prepare(`INSERT INTO ${SQLITE_TABLE} VALUES (?${", ?".repeat(columns.length)})`);
  database.transaction(() => {
    for (let i = 0; i < records; i++) insert.run(`doc-${String(i).padStart(9, "0")}`, ...shape.cells(i, texts));
  })();
  database.close();
}

/** Texts of 500 characters from real Markdown. */
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
