export { Breather } from "../async/breather.ts";
export { cursorPosition, foreignCursor, recordAt, sortPosition, storeCursor } from "../kit/cursor.ts";
export { dateOfIso, dateOfText, hasPlainYear, isoText, YEAR_0 } from "../model/iso-date.ts";
export { base64, decodeJson, encodeJson, fromBase64, fromJson, JSON_TAG, toJson } from "../model/json.ts";
export type { JsonValue } from "../model/json-value.ts";
export { compareStrings, compareValues, kindOrder } from "../model/order.ts";
export { parseJson } from "../model/parse-json.ts";
export { assertRecord, idKey, isNoBytesKey, type P2PId, type P2PRecord, recordTrouble } from "../model/record.ts";
export { estimateBytes } from "../model/size.ts";
export {
  cloneValue,
  findInvalidValue,
  getField,
  MAX_DEPTH,
  type P2PObject,
  type P2PValue,
  setField,
  TaggedValue,
  type ValueType,
  valuesEqual,
  valueType,
} from "../model/value.ts";
export { boundService } from "./bound-service.ts";
export { distrustOf, type InstalledStarter, installedStarters, loadStarter, type StarterScope } from "./discovery.ts";
export { type EndpointInfo, type EndpointInput, endpointLabel, parseEndpoint } from "./endpoint.ts";
export { type OptionSpec, type OptionSpecs, type OptionsOf, parseOptions } from "./options.ts";
export {
  compareRecords,
  matches,
  type P2PCondition,
  type P2PNativeQueries,
  type P2POperators,
  type P2POrder,
  type P2PQuery,
  type ParsedQuery,
  parseQuery,
  projectRecord,
  type QueryCondition,
  type QueryOperator,
} from "./query.ts";
export { isSecretName, REDACTED, redactEndpoint, redactError, redactText, secretsOf } from "./redact.ts";
export { registerStarter, StarterRegistry } from "./registry.ts";
export * from "./service.ts";
