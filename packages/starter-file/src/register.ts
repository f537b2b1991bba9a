import { registerStarter } from "@omni/p2p-core/starter";
import { fileStarter } from "./starter.ts";

registerStarter(fileStarter);
