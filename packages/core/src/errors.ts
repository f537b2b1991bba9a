/** Stable machine-readable reasons of a {@link P2PError}. New codes may be added; none is ever renamed. */
export type P2PErrorCode =
  /** No starter is registered or installed for the storage type. */
  | "SERVICE_NOT_FOUND"
  /** A starter speaks another version of the adapter contract. */
  | "STARTER_INCOMPATIBLE"
  /** The connection's state does not allow what was asked. */
  | "INVALID_STATE"
  | "INVALID_CONFIG"
  | "INVALID_ENDPOINT"
  | "INVALID_QUERY"
  /** The query is well-formed, but this store cannot answer it. */
  | "UNSUPPORTED_QUERY"
  /** The store, or its starter, does not offer what was asked: a look-up, a delete. */
  | "UNSUPPORTED_OPERATION"
  /** A record or a value in it breaks the record model, or a transform failed on it. */
  | "INVALID_RECORD"
  | "TRANSFORM_FAILED"
  /** A record does not meet the schema of the transfer, or the schema failed on it. */
  | "VALIDATION_FAILED"
  /** A value of a record does not fit the type that `as` says. */
  | "CONVERSION_FAILED"
  /** The file, table, index, collection or database to read from does not exist. */
  | "SOURCE_NOT_FOUND"
  /** Source and target are one and the same thing, and that was not asked for. */
  | "SAME_STORE"
  /** The source or the target was dropped, emptied or replaced while it was in use. */
  | "STORE_CHANGED"
  /** The target refuses every write: a directory, a read-only file, a missing privilege. */
  | "TARGET_NOT_WRITABLE"
  /** The file to write is there already, and nobody said what to do with it. */
  | "TARGET_EXISTS"
  /** A manifest does not fit the parts of a dump: one is missing, altered or of another dump. */
  | "MANIFEST_MISMATCH"
  /** A store could not be reached when it was opened. */
  | "CONNECTION_FAILED"
  /** A store that had been reached went away. */
  | "CONNECTION_LOST"
  | "AUTHENTICATION_FAILED"
  /** Something took longer than its timeout. */
  | "TIMEOUT"
  /** The store is busy: a lock, a rate limit, a full queue. Worth trying again. */
  | "BUSY"
  /** The store has no room left. */
  | "STORAGE_FULL"
  | "ABORTED"
  | "READ_FAILED"
  | "WRITE_FAILED"
  /** `mode: "insert"` met an id that is already there. */
  | "DUPLICATE_ID"
  /** A value does not fit the target's schema. */
  | "TYPE_MISMATCH"
  | "RECORD_TOO_LARGE"
  /** More records failed than the transfer was told to bear. */
  | "TOO_MANY_FAILURES"
  /** Collections refer to each other by foreign keys in a circle, and the target does not let their checks be put off. */
  | "FOREIGN_KEY_CIRCLE"
  /** A mirror would delete more records than it may. Nothing was changed. */
  | "TOO_MANY_DELETES"
  /** The source of a mirror holds no record, and the target does. Nothing was changed. */
  | "EMPTY_SOURCE"
  /** Several records have an id of one text, so that nobody can say which of them is meant. */
  | "AMBIGUOUS_ID"
  /** The store does not tell of its changes until something is turned on, which the message names. */
  | "CHANGES_UNAVAILABLE"
  /** Changes after a position can no longer be told: a mirror makes up for them. */
  | "CHANGES_LOST"
  /** What is said to be a certificate of a comparison is none, of another version or query, torn or altered. */
  | "CERTIFICATE_INVALID"
  | "CHECKPOINT_INVALID"
  /** The checkpoint belongs to another query, endpoint or transform, or to a store that was replaced or emptied since. */
  | "CHECKPOINT_MISMATCH"
  /** Another process is running the same transfer. */
  | "CHECKPOINT_LOCKED"
  /** Another follow of this id holds the target's lease, perhaps on another host. */
  | "LEASE_HELD"
  /** Another run has taken the lease of this follow, which therefore writes nothing any more. */
  | "LEASE_LOST"
  /** The target cannot hold a lease; the message names what is lacking. */
  | "LEASE_UNAVAILABLE"
  /** The folder of checkpoints cannot be written: it, or the disk, is read-only. */
  | "CHECKPOINT_NOT_WRITABLE"
  | "DEAD_LETTER_FAILED"
  /** What the application gave (a checkpoint store, a lock) failed, or did not answer within `hookTimeout`. */
  | "HOOK_FAILED"
  /** A distributed transfer with this id has been submitted already. */
  | "TRANSFER_EXISTS"
  | "TRANSFER_NOT_FOUND"
  /** A job was made by a newer version of the engine than this worker's. */
  | "JOB_TOO_NEW"
  /** A worker does not do what was submitted: it is not signed, not allowed, or no submission at all. */
  | "SUBMISSION_REFUSED"
  /** Processes of a worker that did this died, or were killed since they gave no answer. */
  | "PROCESS_DIED"
  /** A record at which processes of workers died; it was set aside. */
  | "POISON_RECORD"
  | "POOL_EXHAUSTED"
  | "CLOSED";

/** What a {@link P2PError} may carry beside its code and message. */
export interface P2PErrorOptions {
  /** The error underneath. It is kept as it is; redaction happens where errors leave the library. */
  cause?: unknown;
  /** Whether the same attempt may succeed later. Default `false`. */
  retryable?: boolean | undefined;
  /** How long the store asked to wait before the next attempt, in milliseconds. */
  retryAfterMs?: number | undefined;
}

const brand = Symbol.for("@omni/p2p-core/error");

/**
 * The one error class of the library: a stable `code`, a sentence that says what to do, and the `cause`.
 *
 * @example
 * ```ts
 * try {
 *   await manager.establish("sqlite:./knowledge.db", "redis://localhost");
 * } catch (error) {
 *   if (isP2PError(error, "SERVICE_NOT_FOUND")) console.error(error.message);
 * }
 * ```
 */
export class P2PError extends Error {
  readonly code: P2PErrorCode;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;

  constructor(code: P2PErrorCode, message: string, options: P2PErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "P2PError";
    this.code = code;
    this.retryable = options.retryable ?? false;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Whether a value is a {@link P2PError} (of any copy of this package), with the given code if one is given. */
export function isP2PError(value: unknown, code?: P2PErrorCode): value is P2PError {
  if (typeof value !== "object" || value === null || !(brand in value)) return false;
  return code === undefined || (value as unknown as P2PError).code === code;
}

const CONNECTION_CODES: ReadonlySet<P2PErrorCode> = new Set([
  "CONNECTION_FAILED",
  "CONNECTION_LOST",
  "AUTHENTICATION_FAILED",
]);

/** Whether an error means that the way to the store is broken, so that only a new connection can help. */
export function isConnectionError(value: unknown): value is P2PError {
  return isP2PError(value) && CONNECTION_CODES.has(value.code);
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Wraps anything that was thrown into a {@link P2PError}; a P2PError passes unchanged. */
export function toP2PError(thrown: unknown, code: P2PErrorCode, context: string): P2PError {
  if (isP2PError(thrown)) return thrown;
  return new P2PError(code, `${context}: ${messageOf(thrown)}`, { cause: thrown });
}
