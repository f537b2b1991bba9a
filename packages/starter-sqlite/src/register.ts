import { registerStarter } from "@omni/p2p-core/starter";
import { sqliteStarter } from "./starter.ts";

registerStarter(sqliteStarter);
