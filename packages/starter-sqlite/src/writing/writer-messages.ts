import {
  isP2PError,
  messageOf,
  P2PError,
  type P2PErrorCode,
  type SourceSchema,
  type WriteMode,
} from "@omni/p2p-core/starter";
import { sqliteCode } from "../client/errors.ts";
import type { SqliteEndpoint } from "../endpoint.ts";
import type { PackedRecords } from "./packed-records.ts";

/** What a writer thread is begun with. */
export interface ThreadData {
  readonly endpoint: SqliteEndpoint;
  readonly table: string;
  /** How long a lock is waited for, in milliseconds. */
  readonly patienceMs: number;
  /** The file that was opened under the endpoint's path, which may lead to another one by now. */
  readonly inode: string | undefined;
}

/** What a writer thread is told. Batches have numbers. */
export type ToThread =
  | {
      readonly kind: "write";
      readonly batch: number;
      readonly records: PackedRecords;
      readonly mode: WriteMode;
      readonly schema: SourceSchema | undefined;
    }
  | { readonly kind: "abort"; readonly batch: number }
  | { readonly kind: "close" };

/** What a writer thread tells. */
export type FromThread =
  | { readonly kind: "ready" }
  | { readonly kind: "written"; readonly batch: number; readonly result: PackedResult }
  | { readonly kind: "failed"; readonly batch: number; readonly error: PackedError };

/** A result without the ids, which the other side has. */
export interface PackedResult {
  readonly written: number;
  readonly skipped: number;
  readonly failures: readonly { readonly index: number; readonly error: PackedError }[];
}

/** An error as it passes from thread to thread, where classes and their fields are lost. */
export interface PackedError {
  readonly code: P2PErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly cause?: { readonly message: string; readonly code: string | undefined };
}

/** An error of SQLite, as its driver would have thrown it here. */
class ThreadError extends Error {
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.name = "SqliteError";
    this.code = code;
  }
}

export function packError(thrown: unknown): PackedError {
  const message = messageOf(thrown);
  if (!isP2PError(thrown)) return { code: "WRITE_FAILED", message, retryable: false };
  const { code, retryable, cause } = thrown;
  if (cause === undefined) return { code, message, retryable };
  return { code, message, retryable, cause: { message: messageOf(cause), code: sqliteCode(cause) } };
}

export function unpackError({ code, message, retryable, cause }: PackedError): P2PError {
  if (cause === undefined) return new P2PError(code, message, { retryable });
  return new P2PError(code, message, { retryable, cause: new ThreadError(cause.message, cause.code) });
}
