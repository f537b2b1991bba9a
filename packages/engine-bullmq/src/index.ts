export type { EngineConnection } from "./connection.ts";
export { DistributedTransfer, type DistributedTransferOptions } from "./distributed-transfer.ts";
export type { NamedEndpoint } from "./endpoints.ts";
export type { EndpointLimits } from "./limits.ts";
export type { DistributedResult, TransferState, VerifyKind, VerifySummary } from "./protocol.ts";
export type { PartStatus, TransferStatus } from "./status.ts";
export type { TransferSubmission } from "./submission.ts";
export { createTransferWorker, TransferWorker } from "./worker.ts";
export type { TransferWorkerEvents, TransferWorkerOptions } from "./worker-options.ts";
