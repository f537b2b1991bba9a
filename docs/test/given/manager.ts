import { DefaultP2PConnectionManager } from "@omni/p2p-core";

/** What a block marked `given=manager` finds. */
export const manager = new DefaultP2PConnectionManager();
