import { Client } from "pg";

/** Makes the table of products in a schema of its own, unless it is there. */
export async function openShop(url: string, schema: string): Promise<void> {
  await withClient(url, async (client) => {
    const name = client.escapeIdentifier(schema);
    await client.query(`
      CREATE SCHEMA IF NOT EXISTS ${name};
      CREATE TABLE IF NOT EXISTS ${name}.products (
        sku int PRIMARY KEY, name text NOT NULL, price numeric(10, 2) NOT NULL, sold boolean NOT NULL DEFAULT true
      );
      TRUNCATE ${name}.products;
      INSERT INTO ${name}.products VALUES
        (1, 'Rain jacket', 89.90), (2, 'Down jacket', 249.00), (3, 'Fleece jacket', 59.50), (4, 'Wool hat', 19.90)`);
  });
}

/** A price falls, a product comes, one is no longer sold, and one is gone. */
export async function aDayPasses(url: string, schema: string): Promise<void> {
  await withClient(url, async (client) => {
    const products = `${client.escapeIdentifier(schema)}.products`;
    await client.query(`UPDATE ${products} SET price = 99.00 WHERE sku = 2`);
    await client.query(`INSERT INTO ${products} VALUES (5, 'Quilted jacket', 79.00)`);
    await client.query(`UPDATE ${products} SET sold = false WHERE sku = 1`);
    await client.query(`DELETE FROM ${products} WHERE sku = 3`);
  });
}

async function withClient(url: string, use: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
}
