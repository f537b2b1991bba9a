export { unlessAborted } from "./async/abort.ts";
export { type ConnectionConfig, type ConnectionConfigInput, type FailureTolerance, parseConfig } from "./config.ts";
export * from "./connection/index.ts";
export * from "./errors.ts";
export * from "./storage/index.ts";
export * from "./transfer/index.ts";
