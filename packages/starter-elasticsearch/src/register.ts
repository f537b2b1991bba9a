import { registerStarter } from "@omni/p2p-core/starter";
import { elasticsearchStarter } from "./starter.ts";

// The types of this door carry the store's own queries (`native`) along.
export type { ElasticsearchNativeQuery } from "./query/native-query.ts";

registerStarter(elasticsearchStarter);
