import { registerStarter } from "@omni/p2p-core";
import { mongodbStarter } from "./starter.ts";

registerStarter(mongodbStarter);
