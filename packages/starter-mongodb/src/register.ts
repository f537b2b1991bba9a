import { registerStarter } from "@omni/p2p-core/starter";
import { mongodbStarter } from "./starter.ts";

registerStarter(mongodbStarter);
