/** The door for engines and tools, which carry out transfers in their own way: plans, budgets, checkpoints, registries. */
export { parseConfig, parseRate } from "./config.ts";
export type {
  DatabasePlan,
  DatabaseProgress,
  DatabaseSelection,
  PlannedCollection,
} from "./connection/database/options.ts";
export { planDatabase } from "./connection/database/plan.ts";
export type { ManagedTransferOptions } from "./connection/options.ts";
export { mirrorWith } from "./live/mirror.ts";
export { boundService } from "./storage/bound-service.ts";
export { completeTarget } from "./storage/complete-target.ts";
export { changesOf, countOf, deleteOf, lacksOf, lookUpOf, openStore } from "./storage/contract-checks.ts";
export { distrustOf, installedStarters, loadStarter, type StarterScope } from "./storage/discovery.ts";
export { catalogueOf, listCollections } from "./storage/list-collections.ts";
export { openService } from "./storage/open-service.ts";
export type { InstalledStarter } from "./storage/origins.ts";
export { isSecretName, REDACTED, redactEndpoint, redactError } from "./storage/redact.ts";
export { StarterRegistry } from "./storage/registry.ts";
export { nearest } from "./suggest.ts";
export { CHECKPOINT_VERSION, type Checkpoint, type TransferIdentity } from "./transfer/checkpoint/checkpoint.ts";
export { identityOf } from "./transfer/checkpoint/identity.ts";
export type { IdCollisions } from "./transfer/collisions.ts";
export { conversionName } from "./transfer/conversion/conversion.ts";
export { letterToJson } from "./transfer/dead-letters/dead-letter.ts";
export { deadLetterStarter } from "./transfer/dead-letters/dead-letter-source.ts";
export type { AnotherService, TransferEnd } from "./transfer/end.ts";
export { FailureBudget } from "./transfer/failure-budget.ts";
export { FieldWatch } from "./transfer/field-watch.ts";
export type { RunOptions } from "./transfer/options.ts";
export { addUp, NO_COUNTS, type PartOutcome } from "./transfer/partitioned/add-up.ts";
export { type PartitionPlan, planPartitions } from "./transfer/partitioned/plan.ts";
export { assertTransferable, previewTransfer, type TransferPreview } from "./transfer/preview.ts";
export { DEFAULT_PROGRESS_INTERVAL_MS } from "./transfer/progress.ts";
export { targetSideOf } from "./transfer/verify/verify.ts";
