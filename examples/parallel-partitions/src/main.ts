import { existsSync } from "node:fs";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { writeKnowledgeBase } from "./knowledge-base.ts";

const source = "sqlite:./data/many.db?table=docs";
const target = process.env.REDIS_URL ?? "redis://localhost:6379/0?prefix=docs:";

if (!existsSync("data/many.db")) writeKnowledgeBase("data/many.db", 20_000);

await using manager = new DefaultP2PConnectionManager();
const { connectionId } = await manager.establish(source, target, { partitions: 4 });
// A name, so that a run that is stopped goes on where each part had come to.
const options = { transferId: "many-docs", resume: true };
const { partitions, successCount, resumed, durationMs } = await manager.transferThroughConnection(
  connectionId,
  {},
  options,
);
const before = resumed ? `, ${resumed.successCount} of them before` : "";
console.log(`${successCount} records in ${partitions} parts${before}, in ${Math.round(durationMs)} ms`);

const { equal } = await manager.verify(connectionId, {});
console.log(equal ? "Source and target agree" : "Source and target do not agree");
if (!equal) process.exitCode = 1;
