import { registerStarter } from "@omni/p2p-core/starter";
import { memoryStarter } from "./starter.ts";

registerStarter(memoryStarter);
