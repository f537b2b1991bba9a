import { registerStarter } from "@omni/p2p-core";
import { sqliteStarter } from "./starter.ts";

registerStarter(sqliteStarter);
