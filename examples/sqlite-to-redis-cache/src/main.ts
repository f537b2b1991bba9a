import { once } from "node:events";
import { DefaultP2PConnectionManager, parseEndpoint } from "@omni/p2p-core";
import { sqliteStarter } from "@omni/p2p-starter-sqlite";
import { Redis } from "ioredis";
import { mailOf } from "./cache.ts";
import { membersChange, openMembers } from "./members.ts";

const { REDIS_URL: server = "redis://localhost:6379", PREFIX: prefix = "member:" } = process.env;
const file = "data/members.db";
const source = `sqlite:${file}?table=members`;

openMembers(file);
// Once and for all: triggers note the keys of changed rows. From a terminal: omni-p2p changes enable 'sqlite:data/members.db?table=members'.
await sqliteStarter.changes?.enable(parseEndpoint(source), {
  ...{ role: "source", signal: AbortSignal.timeout(10_000), connectTimeoutMs: 10_000 },
});

await using manager = new DefaultP2PConnectionManager();
const connection = await manager.establish(
  source,
  `${server}${server.includes("?") ? "&" : "?"}prefix=${encodeURIComponent(prefix)}`,
);
// A member who leaves takes the entry along: that is what a cache calls invalidation.
const follow = connection.follow({}, { transferId: "member-cache", checkpoint: "data", deletes: "remove" });
const redis = new Redis(server);

await Promise.race([once(follow.events, "caughtUp"), follow.done]);
console.log(`${follow.counts.written} members were brought into the cache`);
console.log(`7: ${await mailOf(redis, prefix, 7)}, 9: ${await mailOf(redis, prefix, 9)}`);

membersChange(file);
await Promise.race([once(follow.events, "caughtUp"), follow.done]);
console.log(`7: ${await mailOf(redis, prefix, 7)}, 9: ${await mailOf(redis, prefix, 9)}`);

await follow.stop();
redis.disconnect();
