import { registerStarter } from "@omni/p2p-core/starter";
import { jsonFilesStarter } from "./starter.ts";

registerStarter(jsonFilesStarter);
