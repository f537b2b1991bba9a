export { type ConfigFile, defineConfig, type FileQuery, type FileTransfer } from "./config/file.ts";
export type {
  CliEvent,
  CollectionEvent,
  CountEvent,
  DryRunEvent,
  ErrorEvent,
  PingEvent,
  ProgressEvent,
  ResultEvent,
  StartEvent,
  StarterEvent,
  VerifyEvent,
  VerifyProgressEvent,
} from "./events.ts";
export { ExitCode } from "./exit-code.ts";
