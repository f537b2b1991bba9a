import { registerStarter } from "@omni/p2p-core/starter";
import { elasticsearchStarter } from "./starter.ts";

registerStarter(elasticsearchStarter);
