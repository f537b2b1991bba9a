export { DefaultP2PTransferBridge, type P2PTransferBridge } from "./bridge.ts";
export {
  CHECKPOINT_VERSION,
  type Checkpoint,
  type CheckpointStore,
  MemoryCheckpointStore,
  type TransferIdentity,
} from "./checkpoint/checkpoint.ts";
export { FileCheckpointStore } from "./checkpoint/file-checkpoint.ts";
export { identityOf } from "./checkpoint/identity.ts";
export type { IdCollisions } from "./collisions.ts";
export type { TransferCounts } from "./counts.ts";
export { type DeadLetter, type DeadLetterSink, letterToJson } from "./dead-letters/dead-letter.ts";
export { deadLetterStarter } from "./dead-letters/dead-letter-source.ts";
export { type FileDeadLetterOptions, FileDeadLetterSink } from "./dead-letters/file-dead-letters.ts";
export type { AnotherService, TransferEnd } from "./end.ts";
export { FailureBudget } from "./failure-budget.ts";
export { FieldWatch } from "./field-watch.ts";
export type { RunOptions, TransferOptions } from "./options.ts";
export { addUp, NO_COUNTS, type PartOutcome } from "./partitioned/add-up.ts";
export { type PartitionPlan, planPartitions } from "./partitioned/plan.ts";
export type { TransferProgress } from "./progress.ts";
export { P2PTransferError, type TransferFailure, type TransferResult } from "./result.ts";
export type { Transform, TransformResult } from "./transform.ts";
export type { FieldDifference } from "./verify/fields.ts";
export type { Difference } from "./verify/finder.ts";
export { type VerifyOptions, type VerifyResult, verify } from "./verify/verify.ts";
