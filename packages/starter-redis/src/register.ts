import { registerStarter } from "@omni/p2p-core/starter";
import { redisStarter } from "./starter.ts";

registerStarter(redisStarter);
