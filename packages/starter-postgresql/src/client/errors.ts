/** Error classification: PostgreSQL's SQLSTATE, and what the driver and the socket say, as the library's codes. */
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
  verdictByText,
  verdictCode,
  verdictsByCode,
} from "@omni/p2p-core/starter";

/** What was being done when an error came up: it decides what an error that says little is called. */
export type Doing = Activity | "ping";

/** What PostgreSQL says of an error. */
export interface ServerError extends Error {
  /** The SQLSTATE. */
  readonly code: string;
  readonly severity?: string;
  readonly detail?: string;
  readonly hint?: string;
  /** Where it came up: of a COPY, its line. */
  readonly where?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
  /** Where in the statement it came up, if it did while that was analysed. */
  readonly position?: string;
  /** The statement of a function that it came up in. */
  readonly internalQuery?: string;
  /** The function of the server's source that told it. */
  readonly routine?: string;
}

const lost: Verdict = {
  code: LOST,
  retryable: true,
  advice: "The server went away, or is starting or stopping; try again when it is back",
};
const busy: Verdict = { code: "BUSY", retryable: true, advice: "Another transaction was in the way; try again" };
const late: Verdict = {
  code: "TIMEOUT",
  retryable: true,
  advice: "Raise the limit of the role or the database (statement_timeout), or take smaller batches",
};
const full: Verdict = { code: "STORAGE_FULL", advice: "Make room on the server's disk, or raise the user's limit" };
const refused: Verdict = {
  code: "AUTHENTICATION_FAILED",
  advice: "Check user name and password, and what the server's pg_hba.conf allows",
};
/** No rule of the server fits who comes, from where and how. */
const noRule: Verdict = { ...refused, advice: "Check user name and sslmode, and what the server's pg_hba.conf allows" };
const noRight: Verdict = {
  code: { open: "AUTHENTICATION_FAILED", read: "AUTHENTICATION_FAILED", write: "TARGET_NOT_WRITABLE" },
  advice:
    "Grant the user the right: GRANT SELECT to read; INSERT, UPDATE, DELETE and SELECT to write; CREATE on the schema to make tables",
};
const missing: Verdict = {
  code: { open: "SOURCE_NOT_FOUND", read: "SOURCE_NOT_FOUND", write: "WRITE_FAILED" },
  advice: "Check the names of database, schema and table",
};
const damaged: Verdict = { code: FAILED, advice: "The server's files are damaged; see its log" };

/** What the SQLSTATE of a whole statement means. Those that are not here are permanent and say no more than that it failed. */
const VERDICTS = verdictsByCode<string>([
  [lost, ["08000", "08001", "08003", "08004", "08006", "08007", "57P01", "57P02", "57P03", "57P05", "25P03"]],
  // A pooler gave the session to another, and the statement with it.
  [{ ...lost, advice: "The session was another's meanwhile; try again" }, ["26000", "34000"]],
  [busy, ["40001", "40P01", "40003", "55P03", "55006"]],
  [
    {
      code: "BUSY",
      retryable: true,
      advice: "Raise max_connections, put a pooler before it, or lower the concurrency",
    },
    ["53300"],
  ],
  [
    {
      code: "BUSY",
      retryable: true,
      advice: "The server lacks memory or another resource; try again when it has less to do",
    },
    ["53000", "53200", "53400"],
  ],
  [late, ["57014"]],
  [full, ["53100"]],
  [noRule, ["28000"]],
  [refused, ["28P01"]],
  [missing, ["3D000", "3F000", "42P01"]],
  [noRight, ["42501"]],
  [
    {
      code: { ...FAILED, write: "TARGET_NOT_WRITABLE" },
      advice: "The server is a standby, or takes no writes now; name the primary",
    },
    ["25006"],
  ],
  [{ code: "CONNECTION_LOST", advice: "The database was dropped while it was in use" }, ["57P04"]],
  [
    { code: { ...FAILED, write: "RECORD_TOO_LARGE" }, advice: "It is more than the server can take at a time" },
    ["54000", "54001", "54011", "54023"],
  ],
  [damaged, ["XX001", "XX002"]],
]);

/** What the driver says in words alone. */
const BY_TEXT: readonly (readonly [RegExp, Verdict])[] = [
  [/^Connection terminated|^Client (?:has encountered|was closed)|not queryable/, lost],
  [/password must be|SASL|SCRAM/, refused],
];

const mismatch: Verdict = {
  code: "TYPE_MISMATCH",
  advice: "Change the record by a transform, or the table's rules",
};
const noReference: Verdict = { code: "WRITE_FAILED", advice: "Copy the table that it refers to first" };
const taken: Verdict = {
  code: "WRITE_FAILED",
  advice: "Another row has this value, and they must be unique",
};
const tooLarge: Verdict = { code: "RECORD_TOO_LARGE", advice: "Leave large fields out, or drop the index on them" };
const raised: Verdict = { code: "WRITE_FAILED", advice: "A trigger or a function of the table refused it" };
const unknownName: Verdict = {
  code: "TYPE_MISMATCH",
  advice: "The column takes names of what this database has: make it there first, or change the value by a transform",
};

/** What further codes mean when it is a single record that is refused. */
const RECORD_VERDICTS = verdictsByCode<string>([
  [taken, ["23505", "23P01"]],
  [noReference, ["23503"]],
  [tooLarge, ["54000", "54011", "54023"]],
  [mismatch, ["42804", "42846", "428C9", "44000"]],
]);

/** Whether an error is one of the server's, with its SQLSTATE. */
export function isServerError(error: unknown): error is ServerError {
  const { code, severity } = (error ?? {}) as Partial<ServerError>;
  return error instanceof Error && typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && severity !== undefined;
}

/** The SQLSTATE of an error; `undefined` where it is none of the server's. */
export function sqlState(error: unknown): string | undefined {
  return isServerError(error) ? error.code : undefined;
}

/**
 * Why the server did not take one record: a value that a column does not take, a constraint, a trigger, a policy.
 *
 * @returns `undefined` where the fault is no record's.
 */
export function recordError(error: unknown, label: string): P2PError | undefined {
  if (!isServerError(error)) return undefined;
  const verdict = RECORD_VERDICTS.get(error.code) ?? recordVerdict(error) ?? verdictByOrigin(error);
  if (verdict === undefined) return undefined;
  return new P2PError(verdictCode(verdict, "write"), `${label} refused the record: ${said(error)} ${verdict.advice}.`, {
    cause: error,
  });
}

/**
 * Classes of SQLSTATE that the server tells of a connection, a transaction, its resources or a whole statement. The others are told of
 * rows, or are what a trigger made up.
 */
const NOT_OF_A_RECORD = /^(?:0[0-8A-P]|2[4568BD]|3[4BDF]|4[02]|5[34578]|72|F0|HV|XX)/;

/** What a trigger may raise to have the whole batch tried again, or stopped. */
const OF_THE_BATCH = /^(?:08|25|40|5[378]|55006|55P03|F0|XX)/;

/** What is said of a name that there is none of, or that is none: of a table, a function, a type, a schema. */
const OF_A_NAME: ReadonlySet<string> = new Set(["3F000", "42601", "42602", "42704", "42725", "42883", "42P01"]);

/**
 * Whether it is about the name that a value of a type like `regclass` is, and not about one in a statement (which has a position) or in
 * a function (which has a context).
 */
function isOfNameInValue({ code, where, position, internalQuery, routine }: ServerError): boolean {
  // A table of another database is "not implemented".
  const isOfName = OF_A_NAME.has(code) || (code === "0A000" && routine === "RangeVarGetRelidExtended");
  if (!isOfName || internalQuery !== undefined) return false;
  if (where === undefined) return position === undefined;
  // The text of a type has a syntax, and thus positions of its own.
  return where.startsWith("COPY ") || code === "42601";
}

function recordVerdict(error: ServerError): Verdict | undefined {
  const { code, message } = error;
  if (/^2[23]/.test(code)) return mismatch;
  // A policy that forbids the row has the code of a right that is lacking.
  if (code === "42501" && /row-level security policy/.test(message)) {
    return { code: "WRITE_FAILED", advice: "A policy of row-level security forbids it" };
  }
  return undefined;
}

/** What the place says where it came up, for what the SQLSTATE alone does not. */
function verdictByOrigin(error: ServerError): Verdict | undefined {
  if (isOfNameInValue(error)) return unknownName;
  // PL/pgSQL's RAISE may choose any SQLSTATE, that of a missing right for instance.
  const others = error.routine === "exec_stmt_raise" ? OF_THE_BATCH : NOT_OF_A_RECORD;
  return others.test(error.code) ? undefined : raised;
}

/** An error of the server, the driver or the socket, as a {@link P2PError} that names the endpoint and says what to do. */
export function postgresqlError(error: unknown, doing: Doing, label: string): P2PError {
  if (isP2PError(error)) return error;
  const activity = doing === "ping" ? "read" : doing;
  const verdict = verdictOf(error, activity);
  const what = {
    open: "Cannot connect to",
    read: "Cannot read from",
    write: "Cannot write to",
    ping: "No answer from",
  }[doing];
  const found = verdictCode(verdict, activity);
  const code: P2PErrorCode = doing === "ping" && found === FAILED.read ? LOST.read : found;
  return new P2PError(code, `${what} ${label}: ${said(error)} ${verdict.advice}.`, {
    cause: error,
    retryable: (verdict.retryable ?? false) && doing !== "open",
  });
}

function verdictOf(error: unknown, activity: Activity): Verdict {
  if (isServerError(error)) {
    const known = VERDICTS.get(error.code);
    if (known !== undefined) return known;
    if (error.code.startsWith("08")) return lost;
    const record = activity === "write" ? recordVerdict(error) : undefined;
    return record ?? { code: FAILED, advice: adviceFor(error.code, activity) };
  }
  const trouble = networkTrouble(error);
  if (trouble !== undefined) {
    return activity === "open"
      ? { code: trouble === "timeout" ? "TIMEOUT" : "CONNECTION_FAILED", advice: adviceAtOpen(trouble) }
      : lost;
  }
  const byText = verdictByText(BY_TEXT, messageOf(error));
  if (byText === refused) return refused;
  if (byText !== undefined) {
    return activity === "open" ? { code: "CONNECTION_FAILED", advice: adviceAtOpen("lost") } : byText;
  }
  return { code: FAILED, advice: "See the reason" };
}

/** What to look at, by the class of an error that says nothing else. */
function adviceFor(code: string, activity: Activity): string {
  if (code.startsWith("42")) return "Check the query, and whether the table was changed meanwhile";
  if (code.startsWith("22") && activity === "read") return "A value of the table, or of the query, cannot be made out";
  return "See the server's reason";
}

/** What to look at first, by what the way to the server said. */
function adviceAtOpen(trouble: ReturnType<typeof networkTrouble>): string {
  switch (trouble) {
    case "untrusted-certificate":
      return "Its certificate is not trusted: give sslrootcert the file of the authority that signed it";
    case "certificate-of-another-host":
      return "Its certificate is that of another host: use the name it is made for, or sslmode=verify-ca";
    case "no-tls":
      return "Its TLS is not one that this machine speaks: check sslmode";
    case "no-host":
      return "There is no host of this name";
    case "timeout":
      return "Check host, port and firewall, or raise connection_timeout";
    default:
      return "Check host, port and sslmode, and that the server runs";
  }
}

/** What the server said, with its detail and hint, as sentences. */
function said(error: unknown): string {
  const { detail, hint } = isServerError(error) ? error : ({} as Partial<ServerError>);
  return [messageOf(error), detail, hint]
    .filter((part) => part !== undefined && part !== "")
    .map((part) => sentence(part!))
    .join(" ");
}

/** Longest part of what the server says, in characters: a detail may hold a whole row. */
const LONGEST = 400;

function sentence(text: string): string {
  if (text.length > LONGEST) return `${text.slice(0, LONGEST)}….`;
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
