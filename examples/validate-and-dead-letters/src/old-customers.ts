import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";

/** Rows as people typed them. Every tenth has a fault, and every hundredth one that nobody can guess the right value of. */
function row(id: number): readonly [number, string | null, string, number | null] {
  if (id % 100 === 0) return [id, null, "DE", 1980];
  if (id % 20 === 0) return [id, `customer${id} at example.org`, "DE", null];
  if (id % 10 === 0) return [id, `customer${id}@example.org`, "Germany", 1990];
  return [id, `customer${id}@example.org`, "FR", 1950 + (id % 50)];
}

/** Writes a table of a thousand customers into a new SQLite file. */
export function writeOldCustomers(file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  rmSync(file, { force: true });
  const database = new Database(file);
  try {
    database.exec("CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT, country TEXT, born INTEGER)");
    const insert = database.prepare("INSERT INTO customers VALUES (?, ?, ?, ?)");
    database.transaction(() => {
      for (let id = 1; id <= 1000; id++) insert.run(...row(id));
    })();
  } finally {
    database.close();
  }
}
