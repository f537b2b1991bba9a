import { registerStarter } from "@omni/p2p-core/starter";
import { postgresqlStarter } from "./starter.ts";

registerStarter(postgresqlStarter);
