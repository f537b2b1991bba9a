import { registerStarter } from "@omni/p2p-core";
import { jsonFilesStarter } from "./starter.ts";

registerStarter(jsonFilesStarter);
