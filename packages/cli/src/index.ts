export { type ConfigFile, defineConfig, type FileQuery, type FileTransfer } from "./config/file.ts";
export { ExitCode } from "./exit-code.ts";
export type {
  CliEvent,
  CollectionEvent,
  CountEvent,
  DryRunEvent,
  ErrorEvent,
  MirrorProgressEvent,
  PartitionEvent,
  PingEvent,
  ProgressEvent,
  ResultEvent,
  StartEvent,
  StarterEvent,
  TransferStatusEvent,
  VerifyAgainstEvent,
  VerifyEvent,
  VerifyProgressEvent,
} from "./output/events.ts";
