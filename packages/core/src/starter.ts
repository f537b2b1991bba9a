/** The door for adapters: the contract, and the kit that all adapters share. */
export { onAbort, unlessAborted } from "./async/abort.ts";
export { endsWithin, unlessLate, withDeadline } from "./async/deadline.ts";
export { sleep } from "./async/sleep.ts";
export { Yielder } from "./async/yielder.ts";
export {
  isConnectionError,
  isP2PError,
  messageOf,
  P2PError,
  type P2PErrorCode,
  type P2PErrorOptions,
  toP2PError,
} from "./errors.ts";
export { BatchBuilder, type GatheredBatch } from "./kit/batch-builder.ts";
export { cursorPosition, foreignCursor, recordAt, sortPosition, storeCursor } from "./kit/cursor.ts";
export { type HostPort, hostText, parseHosts } from "./kit/hosts.ts";
export { integerOfIdText, LAST_HASHED_ID } from "./kit/integer-id.ts";
export { type KeptLease, leaseRefusal } from "./kit/lease-refusal.ts";
export { assertAskableById } from "./kit/look-up.ts";
export { invalidNative, type NativeLanguage, nativePart } from "./kit/native-query.ts";
export { type NetworkTrouble, networkTrouble } from "./kit/network-trouble.ts";
export { foreignPartition, isIndivisible, partitionBounds, storePartition } from "./kit/partition.ts";
export { type FieldSample, sampleFields } from "./kit/sample-fields.ts";
export { speaksPlain, speaksTls } from "./kit/spoken-protocol.ts";
export {
  type Activity,
  FAILED,
  LOST,
  type Verdict,
  verdictByText,
  verdictCode,
  verdictsByCode,
} from "./kit/verdict.ts";
export { base64, fromBase64 } from "./model/base64.ts";
export { recordDigest } from "./model/digest.ts";
export { dateOfIso, dateOfText, hasPlainYear, isoText, YEAR_0 } from "./model/iso-date.ts";
export { decodeJson, encodeJson, fromJson, JSON_TAG, toJson } from "./model/json.ts";
export type { JsonValue } from "./model/json-value.ts";
export { compareStrings, compareValues, kindOrder } from "./model/order.ts";
export { endOfJsonString, parseJson } from "./model/parse-json.ts";
export { assertRecord, idKey, isNoBytesKey, type P2PId, type P2PRecord, recordTrouble } from "./model/record.ts";
export { estimateBytes } from "./model/size.ts";
export {
  cloneValue,
  findInvalidValue,
  getField,
  MAX_BIGINT_DIGITS,
  MAX_DEPTH,
  type P2PObject,
  type P2PValue,
  setField,
  TaggedValue,
  VALUE_TYPES,
  type ValueType,
  valuesEqual,
  valueType,
} from "./model/value-tree.ts";
export { isSingleObject, type SingleObject } from "./model/value-types.ts";
export type {
  ChangeBatch,
  ChangeFeed,
  ChangeReadOptions,
  ChangeStatus,
  KeptForFollower,
} from "./storage/change-feed.ts";
export {
  type CollectionList,
  type CollectionName,
  collectionText,
  type ForeignKey,
  type ListedCollection,
} from "./storage/collections.ts";
export { type EndpointInfo, type EndpointInput, endpointLabel, parseEndpoint } from "./storage/endpoint.ts";
export type { IdRef } from "./storage/id-ref.ts";
export type { LeaseAnswer, LeaseKeeper, LeaseRequest } from "./storage/lease.ts";
export { type OptionSpec, type OptionSpecs, type OptionsOf, parseOptions } from "./storage/options.ts";
export {
  compareRecords,
  matches,
  type P2PCondition,
  type P2POperators,
  type P2POrder,
  type P2PQuery,
  type ParsedQuery,
  parseQuery,
  pickFields,
  projectRecord,
  type QueryCondition,
  type QueryOperator,
} from "./storage/query.ts";
export { redactText, secretsOf } from "./storage/redact.ts";
export { registerStarter } from "./storage/registry.ts";
export {
  type BeginOptions,
  type ChangeControl,
  CONTRACT_VERSION,
  type CollectionCatalogue,
  type DeleteOptions,
  type DeleteRef,
  type DeleteResult,
  type DescribeContext,
  type FieldMapping,
  type ForeignKeyChecks,
  type InspectedCollection,
  type LookUpOptions,
  type LookUpOutcome,
  type OpenContext,
  type P2PCapabilities,
  type P2PDataTransferService,
  type P2PStarter,
  type RawBatch,
  type RawSource,
  type RawTarget,
  type ReadFailure,
  type ReadOptions,
  type RecordBatch,
  type SequentialTarget,
  type SourceExtent,
  type SourceSchema,
  type StoreIdentity,
  type StoreInspection,
  type ValueSupport,
  type WriteFailure,
  type WriteMode,
  type WriteOptions,
  type WriteResult,
} from "./storage/service.ts";
export { suggest } from "./suggest.ts";
export { syncFolder } from "./transfer/durable/sync-folder.ts";
