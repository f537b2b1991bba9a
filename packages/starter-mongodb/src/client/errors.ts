import {
  type Activity,
  FAILED,
  isP2PError,
  LOST,
  messageOf,
  networkTrouble,
  P2PError,
  type P2PErrorCode,
  type Verdict,
  verdictsByCode,
} from "@omni/p2p-core/starter";

/** What was being done when an error came up: it decides what an error that says little is called. */
export type Doing = Activity | "ping";

interface Meaning extends Verdict {
  readonly code: P2PErrorCode;
}

const lost: Meaning = {
  code: "CONNECTION_LOST",
  retryable: true,
  advice: "The server went away or is changing its role; try again when it is back",
};
const busy: Meaning = { code: "BUSY", retryable: true, advice: "The server is busy; try again later" };
const late: Meaning = { code: "TIMEOUT", retryable: true, advice: "The server did not finish in time; try again" };
const full: Meaning = { code: "STORAGE_FULL", retryable: false, advice: "Make room on the server" };
const refused: Meaning = {
  code: "AUTHENTICATION_FAILED",
  retryable: false,
  advice: "Check user name, password, authSource and authMechanism",
};
const tooLarge: Meaning = {
  code: "RECORD_TOO_LARGE",
  retryable: false,
  advice: "A MongoDB document has 16 MB at most; split the record or leave large fields out",
};
const mismatch: Meaning = {
  code: "TYPE_MISMATCH",
  retryable: false,
  advice: "Change the record by a transform, or the collection's rules",
};
const badQuery: Meaning = { code: "INVALID_QUERY", retryable: false, advice: "Check native.mongodb of the query" };
const invalid: Meaning = { code: "INVALID_RECORD", retryable: false, advice: "Change the record by a transform" };

/** What the server's own codes mean. Those that are not here are permanent. */
const MEANINGS = verdictsByCode<number, Meaning>([
  // HostUnreachable, HostNotFound, NetworkTimeout, ShutdownInProgress, PrimarySteppedDown, SocketException,
  // NotWritablePrimary and its older forms, InterruptedAtShutdown, InterruptedDueToReplStateChange
  [lost, [6, 7, 89, 91, 189, 9001, 10058, 10107, 13435, 13436, 11600, 11602]],
  // StaleShardVersion, StaleEpoch, StaleConfig, FailedToSatisfyReadPreference, CursorNotFound, QueryPlanKilled,
  // CursorKilled, Interrupted
  [lost, [63, 150, 13388, 133, 43, 175, 237, 11601]],
  // LockTimeout, LockBusy, WriteConflict, NetworkInterfaceExceededTimeLimit, TemporarilyUnavailable,
  // IngressRequestRateLimitExceeded, and the rate limit of Cosmos DB
  [busy, [24, 46, 112, 202, 365, 462, 16500]],
  // MaxTimeMSExpired, ExceededTimeLimit, WriteConcernTimeout
  [late, [50, 262, 64]],
  // OutOfDiskSpace, ExceededMemoryLimit, QueryExceededMemoryLimitNoDiskUseAllowed
  [full, [14031, 146, 292]],
  // UserNotFound, AuthenticationFailed, MechanismUnavailable, ReauthenticationRequired, Atlas's bad auth
  [refused, [11, 18, 334, 391, 8000]],
  // BSONObjectTooLarge and its forms within updates; an index key that is too long
  [tooLarge, [10334, 17419, 17420, 17280]],
  [{ code: "SOURCE_NOT_FOUND", retryable: false, advice: "Check the names of database and collection" }, [26]],
]);

/** What further codes mean when it is a single record that is refused. */
const RECORD_MEANINGS = verdictsByCode<number, Meaning>([
  // TypeMismatch, DocumentValidationFailure, values that a geospatial index cannot take
  [mismatch, [14, 121, 16755, 16756]],
  // BadValue, FailedToParse, Overflow, InvalidBSON, field names, InvalidIdField
  [invalid, [2, 9, 15, 22, 52, 53, 54, 55, 56, 57]],
]);

/** BadValue, FailedToParse, TypeMismatch and the like: in a read, it is the query that the server cannot make out. */
const BAD_QUERY: ReadonlySet<number> = new Set([2, 9, 14, 52, 16410, 17287, 40324, 40352, 40353]);

/** BSONObjectTooLarge and its like, Overflow (nested too deeply), InvalidBSON: one document spoils a whole command. */
const SPOILING: ReadonlySet<number> = new Set([10334, 17419, 17420, 15, 22]);

const UNAUTHORIZED = 13;
const DUPLICATE_KEY = new Set([11000, 11001, 12582]);

/** What the driver reports under names of its own. */
const DRIVER_MEANINGS: Readonly<Record<string, Meaning>> = {
  MongoNetworkError: lost,
  MongoNetworkTimeoutError: late,
  MongoOperationTimeoutError: late,
  MongoServerSelectionError: lost,
  MongoPoolClearedError: lost,
  PoolClearedOnNetworkError: lost,
  MongoPoolClosedError: lost,
  MongoTopologyClosedError: lost,
  MongoNotConnectedError: lost,
  MongoClientClosedError: lost,
  MongoServerClosedError: lost,
  MongoStalePrimaryError: lost,
  MongoExpiredSessionError: lost,
  MongoCursorExhaustedError: lost,
  MongoWaitQueueTimeoutError: { ...busy, advice: "Raise maxPoolSize or waitQueueTimeoutMS" },
  MongoAWSError: refused,
  MongoAzureError: refused,
  MongoGCPError: refused,
  MongoKerberosError: refused,
  MongoMissingCredentialsError: refused,
  MongoOIDCError: refused,
  BSONError: invalid,
  BSONOffsetError: invalid,
  MongoMissingDependencyError: { code: "INVALID_ENDPOINT", retryable: false, advice: "Install it" },
};

/** The labels by which server and driver say that the same may work at another time. */
const RETRYABLE_LABELS = [
  "RetryableWriteError",
  "TransientTransactionError",
  "RetryableError",
  "SystemOverloadedError",
];

/** What is known of an error of the driver or the server, in whatever class it came. */
interface MongoFailure {
  readonly name?: string;
  readonly code?: unknown;
  readonly hasErrorLabel?: (label: string) => boolean;
  readonly cause?: unknown;
  /** The error that a bulk write wraps and whose name it hides. */
  readonly errorResponse?: unknown;
}

/** Whether the server no longer knows the cursor, as after ten minutes without use. Reading can go on with another. */
export function isCursorGone(error: unknown): boolean {
  return (error as MongoFailure | null)?.code === 43;
}

/** Whether a single record is to blame for the failure of a whole command, so that sending fewer at a time helps. */
export function isSpoiled(error: unknown): boolean {
  const { code, name } = unwrapped(error);
  return SPOILING.has(Number(code)) || /^(?:BSON\w*|Range)Error$/.test(name ?? "");
}

/** Whether the server refused a value that must be unique. */
export function isDuplicateKey(code: unknown): boolean {
  return DUPLICATE_KEY.has(Number(code));
}

/** An error of the driver or the server, as a {@link P2PError} that names the endpoint and says what to do. */
export function mongodbError(error: unknown, doing: Doing, label: string): P2PError {
  if (isP2PError(error)) return error;
  const { code, retryable = false, advice } = meaningOf(error, doing);
  const what = {
    open: "Cannot connect to",
    read: "Cannot read from",
    write: "Cannot write to",
    ping: "No answer from",
  };
  const message = `${what[doing]} ${label}: ${sentence(messageOf(error))} ${advice}.`;
  return new P2PError(code, message, { cause: error, retryable: retryable && doing !== "open" });
}

/** Why the server, or the driver, did not take one record. */
export function recordError(code: unknown, reason: string, label: string): P2PError {
  const meaning = RECORD_MEANINGS.get(Number(code)) ?? MEANINGS.get(Number(code)) ?? bySqlite(reason);
  if (meaning === undefined) return new P2PError("WRITE_FAILED", `${label} refused the record: ${sentence(reason)}`);
  return new P2PError(meaning.code, `${label} refused the record: ${sentence(reason)} ${meaning.advice}.`, {
    retryable: meaning.retryable ?? false,
  });
}

function meaningOf(error: unknown, doing: Doing): Meaning {
  const failure = unwrapped(error);
  const number = typeof failure.code === "number" ? failure.code : undefined;
  const message = messageOf(error);
  if (number === UNAUTHORIZED) return unauthorized(doing);
  if (number !== undefined && doing === "read" && BAD_QUERY.has(number)) return badQuery;
  if (number === 8000 && /quota/i.test(message)) return full;
  const known = (number === undefined ? undefined : MEANINGS.get(number)) ?? bySqlite(message);
  // The driver now and then lets errors of Node's sockets through as they are.
  const socket = networkTrouble({ code: failure.code }) === undefined ? undefined : lost;
  const found = known ?? DRIVER_MEANINGS[failure.name ?? ""] ?? socket;
  if (doing === "open") return atOpen(failure, found);
  if (found !== undefined) return found;
  const retryable = RETRYABLE_LABELS.some((name) => failure.hasErrorLabel?.(name));
  return {
    code: doing === "ping" ? LOST.read : FAILED[doing],
    retryable,
    advice: retryable ? "Try again" : "See the server's reason",
  };
}

function unwrapped(error: unknown): MongoFailure {
  const failure = (error ?? {}) as MongoFailure;
  return failure.errorResponse instanceof Error ? (failure.errorResponse as MongoFailure) : failure;
}

function unauthorized(doing: Doing): Meaning {
  if (doing === "write") {
    return {
      code: "TARGET_NOT_WRITABLE",
      retryable: false,
      advice: "Grant the user a role that may write, such as readWrite",
    };
  }
  return { ...refused, advice: "Grant the user a role that may read, such as read" };
}

/** While a store is opened nothing has been lost yet. */
function atOpen(failure: MongoFailure, found: Meaning | undefined): Meaning {
  if (found?.code === "TIMEOUT" || isTimeout(failure)) {
    return { code: "TIMEOUT", retryable: false, advice: "Check host, port and firewall, or raise connection_timeout" };
  }
  if (found !== undefined && found.code !== "CONNECTION_LOST") return found;
  if (/^Mongo(?:Parse|InvalidArgument|API|Runtime)Error$/.test(failure.name ?? "")) {
    return { code: "INVALID_ENDPOINT", retryable: false, advice: "Check the endpoint's options" };
  }
  return {
    code: "CONNECTION_FAILED",
    retryable: false,
    advice: adviceAtOpen(failure),
  };
}

/** What to look at first, by what the way to the server said. */
function adviceAtOpen(failure: MongoFailure): string {
  switch (networkTrouble(failure)) {
    case "untrusted-certificate":
      return "Its certificate is not trusted: give tlsCAFile the authority that signed it";
    case "certificate-of-another-host":
      return "Its certificate is that of another host: use the name it is made for";
    case "no-tls":
      return "The server may not speak TLS: leave tls out";
    case "no-host":
      return "There is no host of this name";
    default:
      return "Check host, port, tls and replicaSet, and that the server runs";
  }
}

/** Whether a server was looked for in vain because it did not answer. */
function isTimeout(failure: MongoFailure): boolean {
  return networkTrouble(failure) === "timeout" || hasCause(failure, "MongoNetworkTimeoutError");
}

function hasCause(failure: MongoFailure, name: string): boolean {
  for (let at: MongoFailure | undefined = failure, depth = 0; at && depth < 5; depth++) {
    if (at.name === name) return true;
    at = at.cause as MongoFailure | undefined;
  }
  return false;
}

/** FerretDB passes on what its SQLite says without a code of its own. */
function bySqlite(message: string): Meaning | undefined {
  if (/SQLITE_BUSY|database is locked/.test(message)) return busy;
  return /database or disk is full/.test(message) ? full : undefined;
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
