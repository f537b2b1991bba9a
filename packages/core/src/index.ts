/** The door for applications: connections, transfers, records and errors. */
export type { ConnectionConfigInput, FailureTolerance } from "./config.ts";
export type { P2PConnection, P2PConnectionEvents } from "./connection/connection.ts";
export type {
  CollectionResult,
  DatabaseFollowOptions,
  DatabaseJob,
  DatabaseMirrorOptions,
  DatabaseResult,
  DatabaseTransferOptions,
} from "./connection/database/options.ts";
export { DefaultP2PConnectionManager, type ManagerOptions } from "./connection/default-manager.ts";
export type { P2PDiagnostics } from "./connection/diagnostics.ts";
export type { P2PConnectionManager, P2PManagerEvents } from "./connection/manager.ts";
export type { P2PReadOptions } from "./connection/options.ts";
export type { RunningTransfer } from "./connection/running-transfer.ts";
export type { ConnectionStatistics } from "./connection/statistics.ts";
export { ConnectionStatus } from "./connection/status.ts";
export { isP2PError, P2PError, type P2PErrorCode } from "./errors.ts";
export type { FollowHandle, FollowOptions } from "./live/follow-options.ts";
export type { MirrorOptions, MirrorResult } from "./live/options.ts";
export { verify, verifyAgainst } from "./live/verify.ts";
export type { MutableRecord, P2PId, P2PRecord } from "./model/record.ts";
export { type P2PObject, type P2PValue, TaggedValue } from "./model/value-tree.ts";
export type { CollectionList, CollectionName, ForeignKey, ListedCollection } from "./storage/collections.ts";
export { type EndpointInfo, type EndpointInput, parseEndpoint } from "./storage/endpoint.ts";
export type { P2PCondition, P2PQuery } from "./storage/query.ts";
export type { P2PStarter } from "./storage/service.ts";
export { DefaultP2PTransferBridge, type P2PTransferBridge } from "./transfer/bridge.ts";
export { type CheckpointStore, MemoryCheckpointStore } from "./transfer/checkpoint/checkpoint.ts";
export { FileCheckpointStore } from "./transfer/checkpoint/file-checkpoint.ts";
export type { TransferCounts } from "./transfer/counts.ts";
export type { DeadLetter, DeadLetterSink } from "./transfer/dead-letters/dead-letter.ts";
export { FileDeadLetterSink } from "./transfer/dead-letters/file-dead-letters.ts";
export type { TransferOptions } from "./transfer/options.ts";
export type { TransferProgress } from "./transfer/progress.ts";
export type { ReadBatch } from "./transfer/read-batches.ts";
export { P2PTransferError, type TransferFailure, type TransferResult } from "./transfer/result.ts";
export type { StandardSchemaV1 } from "./transfer/standard-schema.ts";
export type { Transform, TransformResult } from "./transfer/transform.ts";
export type { AgainstOptions, AgainstResult } from "./transfer/verify/against.ts";
export type { VerifyCertificate } from "./transfer/verify/certificate.ts";
export type { Difference } from "./transfer/verify/finder.ts";
export type { VerifyOptions, VerifyResult } from "./transfer/verify/verify.ts";
