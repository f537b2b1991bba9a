export type { P2PConnection } from "./connection.ts";
export { DefaultP2PConnectionManager, type ManagerOptions, type PoolOptions } from "./default-manager.ts";
export type { CloseOptions, ManagedTransferOptions, P2PConnectionManager, P2PManagerEvents } from "./manager.ts";
export type { ConnectionStatistics } from "./statistics.ts";
export { ConnectionStatus } from "./status.ts";
