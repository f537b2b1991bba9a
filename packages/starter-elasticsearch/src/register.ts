import { registerStarter } from "@omni/p2p-core";
import { elasticsearchStarter } from "./starter.ts";

registerStarter(elasticsearchStarter);
