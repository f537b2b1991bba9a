import { DistributedTransfer } from "@omni/p2p-engine-bullmq";
import { queue } from "./endpoints.ts";
import { writeShop } from "./shop.ts";

writeShop("data/shop.db", 20_000);

await using transfers = new DistributedTransfer({ connection: queue });
const id = `orders-${Date.now()}`;
// So much the source bears, however many workers there are.
await transfers.limit("shop", { partitions: 4 });
await transfers.submit({ id, source: "shop", target: "cache", partitions: 8, verify: "full" });

for await (const { records, total, hint } of transfers.watch(id)) {
  console.log(hint ?? `${records} of ${total ?? "?"} records`);
}
const { successCount, partitions, verified } = await transfers.result(id);
console.log(`${successCount} records in ${partitions} partitions`);
for (const { part, worker, records } of await transfers.partitions(id))
  console.log(`  ${part}: ${records} by ${worker}`);
console.log(verified?.equal ? "Source and target agree" : "Source and target do not agree");
if (!verified?.equal) process.exitCode = 1;
