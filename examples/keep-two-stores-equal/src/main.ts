import { DefaultP2PConnectionManager, type MirrorOptions } from "@omni/p2p-core";
import { outcomeOf } from "./outcome.ts";
import { aDayPasses, openShop, somebodyEmptiesIt } from "./shop.ts";

openShop("data/shop.db", "data/shown.db");
await using manager = new DefaultP2PConnectionManager();
const connection = await manager.establish("sqlite:data/shop.db?table=products", "sqlite:data/shown.db?table=products");

// The name lets a run that was cut off be made good by the next, and keeps two of them from running at once.
const options: MirrorOptions = { deletes: "remove", transferId: "shown-products", checkpoint: "data" };

console.log("1. What would be done");
const { missing, different, extra, samples = [] } = await connection.mirror({}, { ...options, dryRun: true });
console.log(`   ${missing} are missing, ${different} different, and ${extra} to be taken out; such as`);
for (const { kind, id } of samples.slice(0, 3)) console.log(`   ${kind} ${id}`);

console.log("2. The two are made equal");
console.log(`   ${await outcomeOf(connection.mirror({}, options))}`);

console.log("3. A day passes, and only its changes are brought");
aDayPasses("data/shop.db");
console.log(`   ${await outcomeOf(connection.mirror({}, options))}`);
console.log(`   and again: ${await outcomeOf(connection.mirror({}, options))}`);
const { equal, targetCount } = await connection.verify();
console.log(`   ${equal ? "both hold the same" : "they differ, among"} ${targetCount} products`);

console.log("4. Somebody empties the shop's table by mistake");
somebodyEmptiesIt("data/shop.db");
console.log(`   ${await outcomeOf(connection.mirror({}, options))}`);
