import { registerStarter } from "@omni/p2p-core";
import { redisStarter } from "./starter.ts";

registerStarter(redisStarter);
