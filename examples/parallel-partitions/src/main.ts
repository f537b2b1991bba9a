import { existsSync } from "node:fs";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { sqliteStarter } from "@omni/p2p-starter-sqlite";
import { writeKnowledgeBase } from "./knowledge-base.ts";
import { partsOf, rememberedParts } from "./parts.ts";
import { transferInParts } from "./transfer-in-parts.ts";

const PARTS = 4;
const source = "sqlite:./data/many.db?table=docs";
const target = process.env.REDIS_URL ?? "redis://localhost:6379/0?prefix=docs:";

if (!existsSync("data/many.db")) writeKnowledgeBase("data/many.db", 20_000);

await using manager = new DefaultP2PConnectionManager();
const parts = await rememberedParts("data/parts.json", () => partsOf(sqliteStarter, source, {}, PARTS));
const startedAt = performance.now();
const results = await transferInParts(manager, source, target, "many-docs", parts);

for (const [number, { successCount, resumed }] of results.entries()) {
  console.log(`Part ${number}: ${successCount} records${resumed ? `, ${resumed.successCount} of them before` : ""}`);
}
const records = results.reduce((sum, { successCount }) => sum + successCount, 0);
console.log(`${records} records in ${Math.round(performance.now() - startedAt)} ms`);

await using whole = await manager.establish(source, target);
const { equal } = await manager.verify(whole.connectionId, {});
console.log(equal ? "Source and target agree" : "Source and target do not agree");
if (!equal) process.exitCode = 1;
