import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { toDocument } from "./document.ts";
import { writeProducts } from "./products.ts";
import { search } from "./search.ts";

const {
  POSTGRESQL_URL: database = "postgresql://localhost/postgres",
  ELASTICSEARCH_URL: server = "http://localhost:9200",
  SCHEMA: schema = "shop",
  INDEX: index = "products",
} = process.env;
const words = process.argv.slice(2).join(" ") || "warm jacket";
const mostPrice = 100;

await writeProducts(database, schema);

const manager = new DefaultP2PConnectionManager();
try {
  const { connectionId } = await manager.establish(
    `${database}${database.includes("?") ? "&" : "?"}table=${schema}.products&values=plain`,
    `elasticsearch${server.replace(/^https?/, (protocol) => (protocol === "https" ? "+https" : ""))}/${index}`,
  );
  // What is no longer sold stays where it is.
  const query = { where: { state: "sold" } };
  const { successCount } = await manager.transferThroughConnection(connectionId, query, { transform: toDocument });
  console.log(`${successCount} products can be searched`);
} finally {
  // What was written is visible to searches when the connection is closed, if not before.
  await manager.close();
}

console.log(`"${words}" up to ${mostPrice}:`);
for (const { name, price } of await search(server, index, words, mostPrice))
  console.log(`  ${name} (${price.toFixed(2)})`);
