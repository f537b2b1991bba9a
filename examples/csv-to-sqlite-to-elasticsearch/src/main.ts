import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { search } from "./search.ts";

const { ELASTICSEARCH_URL: server = "http://localhost:9200", INDEX: index = "products" } = process.env;
const word = process.argv[2] ?? "linen";
const csv = join(import.meta.dirname, "..", "data", "products.csv");
const table = "sqlite:./data/shop.db?table=products";
mkdirSync("data", { recursive: true });

const manager = new DefaultP2PConnectionManager();
try {
  const first = await manager.establish(`file:${csv}`, table);
  const { successCount, errors } = await manager.transferThroughConnection(
    first.connectionId,
    {},
    { deadLetters: "./data/wrong-rows.ndjson" },
  );
  console.log(`${successCount} products in SQLite`);
  for (const { reason } of errors) console.log(`  not taken: ${reason}`);

  const second = await manager.establish(
    table,
    `elasticsearch${server.replace(/^https?/, (protocol) => (protocol === "https" ? "+https" : ""))}/${index}`,
  );
  const { equal } = await manager
    .transferThroughConnection(second.connectionId, {})
    .then(() => manager.verify(second.connectionId, {}));
  console.log(`Elasticsearch holds the same: ${equal}`);
} finally {
  await manager.close();
}

for (const name of await search(server, index, word)) console.log(`  ${name}`);
