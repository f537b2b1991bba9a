import { registerStarter } from "@omni/p2p-core/starter";
import { sqliteStarter } from "./starter.ts";

// The types of this door carry the store's own queries (`native`) along.
export type { SqliteNativeQuery } from "./query/native-query.ts";

registerStarter(sqliteStarter);
