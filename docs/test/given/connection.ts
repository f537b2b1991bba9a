import { DefaultP2PConnectionManager } from "@omni/p2p-core";

export const manager = new DefaultP2PConnectionManager();

/** What a block marked `given=connection` finds: the guide's two files. */
export const connection = await manager.establish(
  "sqlite:./data/knowledge.db?table=docs",
  "sqlite:./data/copy.db?table=docs",
);

export const { connectionId } = connection;
