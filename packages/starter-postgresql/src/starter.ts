import type { P2PStarter } from "@omni/p2p-core/starter";
export const postgresqlStarter = {} as P2PStarter;
