import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";

/** Writes the shop's 500 products, and the file they are shown from: an old copy, with old prices and 30 of a season that is over. */
export function openShop(shop: string, shown: string): void {
  writeProducts(shop, 1, 500);
  writeProducts(shown, -29, 480);
  withDatabase(shown, (database) => database.exec("UPDATE products SET price = price - 1 WHERE id > 475"));
}

/** Three prices change, two products come, and one is gone. */
export function aDayPasses(shop: string): void {
  withDatabase(shop, (database) => {
    database.exec("UPDATE products SET price = price + 1 WHERE id IN (10, 20, 30)");
    database.exec("INSERT INTO products VALUES (501, 'product 501', 501), (502, 'product 502', 502)");
    database.exec("DELETE FROM products WHERE id = 40");
  });
}

/** What nobody wants to be brought over. */
export function somebodyEmptiesIt(shop: string): void {
  withDatabase(shop, (database) => database.exec("DELETE FROM products"));
}

function writeProducts(file: string, first: number, last: number): void {
  mkdirSync(dirname(file), { recursive: true });
  rmSync(file, { force: true });
  withDatabase(file, (database) => {
    database.exec("CREATE TABLE products (id INTEGER PRIMARY KEY, title TEXT, price INTEGER)");
    const insert = database.prepare("INSERT INTO products VALUES (?, ?, ?)");
    database.transaction(() => {
      for (let id = first; id <= last; id++) insert.run(id, `product ${id}`, Math.abs(id));
    })();
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
