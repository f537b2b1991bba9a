import { Client } from "pg";

type Product = readonly [
  name: string,
  price: string,
  state: "sold" | "archived",
  tags: readonly string[],
  attributes: Readonly<Record<string, string>>,
];

const PRODUCTS: readonly Product[] = [
  ["Rain jacket", "89.90", "sold", ["jacket", "outdoor"], { colour: "red", material: "nylon", lining: "none" }],
  ["Down jacket", "249.00", "sold", ["jacket", "winter"], { colour: "blue", material: "nylon", lining: "warm down" }],
  ["Fleece jacket", "59.50", "sold", ["jacket", "winter"], { colour: "grey", material: "warm fleece" }],
  ["Wool hat", "19.90", "sold", ["hat", "winter"], { colour: "green", material: "wool" }],
  ["Quilted jacket", "79.00", "archived", ["jacket"], { colour: "black", material: "cotton", lining: "warm" }],
  ["Trail shoes", "119.95", "sold", ["shoes", "outdoor"], { colour: "orange", sole: "rubber" }],
];

/** Makes a table of products in a schema of its own, with the types that a shop would take. */
export async function writeProducts(url: string, schema: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const name = client.escapeIdentifier(schema);
    await client.query(`
      DROP SCHEMA IF EXISTS ${name} CASCADE;
      CREATE SCHEMA ${name};
      CREATE TYPE ${name}.state AS ENUM ('sold', 'archived');
      CREATE TABLE ${name}.products (
        sku bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, price numeric(10, 2) NOT NULL,
        state ${name}.state NOT NULL, tags text[] NOT NULL, attributes jsonb NOT NULL, changed timestamptz NOT NULL
      )`);
    for (const [at, [title, price, state, tags, attributes]] of PRODUCTS.entries()) {
      await client.query(
        `INSERT INTO ${name}.products (name, price, state, tags, attributes, changed) VALUES ($1, $2, $3, $4, $5, $6)`,
        [title, price, state, tags, attributes, new Date(Date.UTC(2024, at))],
      );
    }
  } finally {
    await client.end();
  }
}
