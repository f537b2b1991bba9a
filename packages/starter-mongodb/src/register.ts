import { registerStarter } from "@omni/p2p-core/starter";
import { mongodbStarter } from "./starter.ts";

// The types of this door carry the store's own queries (`native`) along.
export type { MongodbNativeQuery } from "./query/query.ts";

registerStarter(mongodbStarter);
