import { once } from "node:events";
import { DefaultP2PConnectionManager, parseEndpoint, type Transform } from "@omni/p2p-core";
import { postgresqlStarter } from "@omni/p2p-starter-postgresql";
import { database, index, schema, server, source, target, transferId } from "./places.ts";
import { search } from "./search.ts";
import { aDayPasses, openShop } from "./shop.ts";

const words = process.argv.slice(2).join(" ") || "jacket";

/** What is searched: the id stays what it is, so that a product that goes takes its document with it. */
const toDocument: Transform = ({ id, name, price }) => ({ id, name: name ?? null, price: Number(price) });

await openShop(database, schema);
// Once and for all, by who owns the table: the server then tells of its changes. From a terminal: omni-p2p changes enable <the table's URL>.
await postgresqlStarter.changes?.enable(parseEndpoint(source), {
  ...{ role: "source", signal: AbortSignal.timeout(30_000), connectTimeoutMs: 10_000 },
});

await using manager = new DefaultP2PConnectionManager();
const connection = await manager.establish(source, target);

const follow = connection.follow(
  // What is no longer sold leaves the index like what is gone.
  { where: { sold: true } },
  // The transform hides what the query asks for, so the index is told apart by nothing: all of it is ours.
  { transferId, transform: toDocument, checkpoint: "data", deletes: "remove", targetQuery: {} },
);
// In a service: process.once("SIGTERM", () => follow.stop()), and await follow.done.
follow.events.on("paused", ({ error }) => console.warn(error.message));

await Promise.race([once(follow.events, "caughtUp"), follow.done]);
console.log("In the morning:", (await search(server, index, words)).join(", "));

await aDayPasses(database, schema);
await Promise.race([once(follow.events, "caughtUp"), follow.done]);
console.log("In the evening:", (await search(server, index, words)).join(", "));

const { counts } = await follow.stop();
console.log(`${counts.changes} changes were told; the next run goes on from there`);
