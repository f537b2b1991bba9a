import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { writeArticles } from "./articles.ts";
import { toDocument } from "./document.ts";
import { search } from "./search.ts";

const { ELASTICSEARCH_URL: server = "http://localhost:9200", INDEX: index = "articles" } = process.env;
const words = process.argv.slice(2).join(" ") || "slow databases";

writeArticles("data/articles.db");

const manager = new DefaultP2PConnectionManager();
try {
  const { connectionId } = await manager.establish(
    "sqlite:./data/articles.db?table=articles",
    `elasticsearch${server.replace(/^https?/, (protocol) => (protocol === "https" ? "+https" : ""))}/${index}`,
  );
  // Drafts stay where they are.
  const query = { where: { draft: false } };
  const { successCount } = await manager.transferThroughConnection(connectionId, query, { transform: toDocument });
  console.log(`${successCount} articles can be searched`);
} finally {
  // What was written is visible to searches when the connection is closed, if not before.
  await manager.close();
}

console.log(`Articles about "${words}":`);
for (const { title, score } of await search(server, index, words)) console.log(`  ${title} (${score.toFixed(2)})`);
