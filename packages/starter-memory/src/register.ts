import { registerStarter } from "@omni/p2p-core";
import { memoryStarter } from "./starter.ts";

registerStarter(memoryStarter);
