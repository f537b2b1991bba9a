/** The door for applications: connections, transfers, records and errors. */
export type { ConnectionConfig, ConnectionConfigInput, FailureTolerance } from "./config.ts";
export type { P2PConnection } from "./connection/connection.ts";
export { DefaultP2PConnectionManager, type ManagerOptions, type PoolOptions } from "./connection/default-manager.ts";
export type {
  CloseOptions,
  ManagedTransferOptions,
  P2PConnectionManager,
  P2PManagerEvents,
} from "./connection/manager.ts";
export type { ConnectionStatistics } from "./connection/statistics.ts";
export { ConnectionStatus } from "./connection/status.ts";
export { isP2PError, P2PError, type P2PErrorCode, type P2PErrorOptions } from "./errors.ts";
export type { P2PId, P2PRecord } from "./model/record.ts";
export { type P2PObject, type P2PValue, TaggedValue } from "./model/value.ts";
export { type EndpointInfo, type EndpointInput, parseEndpoint } from "./storage/endpoint.ts";
export type { P2PCondition, P2POperators, P2POrder, P2PQuery } from "./storage/query.ts";
export type { P2PDataTransferService, P2PStarter, WriteMode } from "./storage/service.ts";
export { DefaultP2PTransferBridge, type P2PTransferBridge } from "./transfer/bridge.ts";
export { type CheckpointStore, MemoryCheckpointStore } from "./transfer/checkpoint/checkpoint.ts";
export { FileCheckpointStore } from "./transfer/checkpoint/file-checkpoint.ts";
export type { TransferCounts } from "./transfer/counts.ts";
export type { DeadLetter, DeadLetterSink } from "./transfer/dead-letters/dead-letter.ts";
export { type FileDeadLetterOptions, FileDeadLetterSink } from "./transfer/dead-letters/file-dead-letters.ts";
export type { TransferOptions } from "./transfer/options.ts";
export type { TransferProgress } from "./transfer/progress.ts";
export { P2PTransferError, type TransferFailure, type TransferResult } from "./transfer/result.ts";
export type { Transform, TransformResult } from "./transfer/transform.ts";
export type { FieldDifference } from "./transfer/verify/fields.ts";
export type { Difference } from "./transfer/verify/finder.ts";
export { type VerifyOptions, type VerifyResult, verify } from "./transfer/verify/verify.ts";
