import { registerStarter } from "@omni/p2p-core/starter";
import { postgresqlStarter } from "./starter.ts";

// The types of this door carry the store's own queries (`native`) along.
export type { PostgresqlNativeQuery } from "./query/native-query.ts";

registerStarter(postgresqlStarter);
