import { registerStarter } from "@omni/p2p-core/starter";
import { redisStarter } from "./starter.ts";

// The types of this door carry the store's own queries (`native`) along.
export type { RedisNativeQuery } from "./query/native-query.ts";

registerStarter(redisStarter);
