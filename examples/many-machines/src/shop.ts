import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";

/** Writes a table of orders, unless it is there. */
export function writeShop(file: string, orders: number): void {
  if (existsSync(file)) return;
  mkdirSync(dirname(file), { recursive: true });
  const database = new Database(file);
  try {
    database.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL, placed TIMESTAMP)");
    const insert = database.prepare("INSERT INTO orders VALUES (?, ?, ?, ?)");
    database.transaction(() => {
      for (let id = 1; id <= orders; id++) {
        insert.run(id, `customer ${id % 997}`, id / 4, new Date(id * 60_000).toISOString());
      }
    })();
  } finally {
    database.close();
  }
}
