import {
  type Activity,
  type EndpointInfo,
  endpointLabel,
  FAILED,
  isP2PError,
  LOST,
  messageOf,
  networkTrouble,
  P2PError,
  redactText,
  secretsOf,
  type Verdict,
  verdictByText,
  verdictCode,
} from "@omni/p2p-core/starter";

/** What was being done when an error came. */
export type Operation = Activity;

/** Tells what an error of the client or the server means to the library. */
export type ToP2PError = (error: unknown, operation: Operation) => P2PError;

const AUTHENTICATION: Verdict = {
  code: "AUTHENTICATION_FAILED",
  advice: "Check the user and the password",
};
const CLUSTERED: Verdict = {
  code: "INVALID_ENDPOINT",
  advice: "The server belongs to a Redis Cluster: add cluster=true to the endpoint",
};
const WAIT = "Try again in a moment";

/**
 * The server's own error codes: the first word of its reply. One that answers and cannot serve yet, or not any more, is waited
 * for as one that is away.
 */
const REPLIES: Readonly<Record<string, Verdict>> = {
  LOADING: { code: LOST, retryable: true, advice: WAIT },
  BUSY: { code: "BUSY", retryable: true, advice: WAIT },
  TRYAGAIN: { code: "BUSY", retryable: true, advice: WAIT },
  CLUSTERDOWN: { code: LOST, retryable: true, advice: "See CLUSTER INFO for the slots that no node serves" },
  MASTERDOWN: { code: LOST, retryable: true, advice: "The replica has lost its primary" },
  NOREPLICAS: { code: "BUSY", retryable: true, advice: "Too few replicas follow the primary" },
  NOGOODSLAVE: { code: "BUSY", retryable: true, advice: WAIT },
  MISCONF: { code: "STORAGE_FULL", retryable: true, advice: "The server cannot save to its disk; see its log" },
  OOM: { code: "STORAGE_FULL", advice: "Raise maxmemory, free some keys, or set an eviction policy" },
  READONLY: { code: "TARGET_NOT_WRITABLE", retryable: true, advice: "Give the address of the primary" },
  NOAUTH: AUTHENTICATION,
  WRONGPASS: AUTHENTICATION,
  NOPERM: {
    // The login was right, and so is the server; it is the database or the command that this user may not have.
    code: { open: "INVALID_ENDPOINT", read: "READ_FAILED", write: "TARGET_NOT_WRITABLE" },
    advice: "Let the user's ACL allow the command and the keys",
  },
  WRONGTYPE: { code: "TYPE_MISMATCH", advice: "The key holds another type" },
  BUSYKEY: { code: "DUPLICATE_ID", advice: "A key of this name is there already" },
  MOVED: CLUSTERED,
  ASK: CLUSTERED,
  CROSSSLOT: CLUSTERED,
  DENIED: { code: "CONNECTION_FAILED", advice: "The server is in protected mode: give it a password or bind it" },
};

/** Replies whose first word is the unspecific `ERR`. */
const GENERAL_REPLIES: readonly (readonly [pattern: RegExp, verdict: Verdict])[] = [
  [/user executing the script|ACL failure in script/, REPLIES.NOPERM!],
  [/max number of clients/, { code: "BUSY", retryable: true, advice: "Raise maxclients, or close other clients" }],
  [/invalid password|AUTH/, AUTHENTICATION],
  [/DB index|invalid DB/i, { code: "INVALID_ENDPOINT", advice: "The server has no database of this number" }],
  [/SELECT is not allowed in cluster/, { code: "INVALID_ENDPOINT", advice: "A cluster has database 0 only" }],
  [/cluster support disabled/, { code: "INVALID_ENDPOINT", advice: "It is no Redis Cluster: leave out cluster=true" }],
  [/bulk length|exceeds maximum/, { code: "RECORD_TOO_LARGE", advice: "See the server's proto-max-bulk-len" }],
  [
    /DUMP payload|Bad data format/,
    { code: "TYPE_MISMATCH", advice: "The dump was made by a newer server, or is no dump" },
  ],
];

/** Makes the translator of errors for one endpoint. Its messages name the endpoint and never its secrets. */
export function errorTranslator(endpoint: EndpointInfo): ToP2PError {
  const label = endpointLabel(endpoint);
  const secrets = secretsOf(endpoint);
  return (thrown, operation) => {
    if (isP2PError(thrown)) return thrown;
    const error = rootOf(thrown);
    const text = redactText(messageOf(error), secrets);
    const verdict = verdictOn(error, text, operation);
    const { advice, retryable = false } = verdict;
    return new P2PError(verdictCode(verdict, operation), `${label}: ${text.replace(/[.\s]+$/, "")}. ${advice}`, {
      cause: bareError(error, text),
      retryable,
    });
  };
}

/** The error of a node, where the cluster client wraps it. */
function rootOf(error: unknown): unknown {
  const inner = (error as { lastNodeError?: unknown } | undefined)?.lastNodeError;
  return inner instanceof Error ? inner : error;
}

/** ioredis hangs the command with all its arguments, passwords and values among them, on its errors. */
function bareError(error: unknown, text: string): Error {
  const bare = new Error(text);
  if (error instanceof Error) bare.name = error.name;
  const code = nodeCode(error);
  return code === undefined ? bare : Object.assign(bare, { code });
}

function nodeCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

function verdictOn(error: unknown, text: string, operation: Operation): Verdict {
  if (error instanceof RangeError) {
    return { code: "RECORD_TOO_LARGE", advice: "The record is larger than a string can be" };
  }
  if (!isReply(error)) return connectionTrouble(error, text, operation);
  const word = /^-?([A-Z]+)\b/.exec(text)?.[1] ?? "ERR";
  const verdict = REPLIES[word] ?? verdictByText(GENERAL_REPLIES, text);
  if (verdict === undefined) return { code: FAILED, advice: "That is the server's own message" };
  return verdict === REPLIES.NOPERM ? { ...verdict, advice: missingRight(text) } : verdict;
}

/** What an administrator must grant, by what the server says is missing. */
function missingRight(text: string): string {
  const command = /the '([^']+)' command/.exec(text)?.[1]?.toLowerCase();
  if (command === "select") {
    return "The login was right, but this user may use database 0 alone: grant +select, or leave the database out";
  }
  if (command !== undefined)
    return `The login was right; the right to the command is missing: ACL SETUSER <user> +${command}`;
  if (/\bkey/.test(text)) return "The login was right; the right to the key is missing: ACL SETUSER <user> ~<prefix>*";
  return "The login was right; the user's ACL must allow the command and the keys";
}

/** Whether the server itself said it, as opposed to the way to it. */
export function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError";
}

function connectionTrouble(error: unknown, text: string, operation: Operation): Verdict {
  if (operation !== "open") {
    return { code: "CONNECTION_LOST", retryable: true, advice: "The connection to the server was lost" };
  }
  const trouble = networkTrouble(error);
  if (trouble === "timeout" || /time(?:d )?out/i.test(text)) {
    return { code: "TIMEOUT", retryable: true, advice: "It did not answer in time: check host, port and firewall" };
  }
  if (trouble === "no-tls" || /wrong version|packet length/.test(text)) {
    return { code: "CONNECTION_FAILED", advice: "The server may not speak TLS: try redis:// in place of rediss://" };
  }
  if (trouble === "untrusted-certificate") {
    return { code: "CONNECTION_FAILED", advice: "Its certificate is not trusted: give tlsCaFile, or ca in tls" };
  }
  if (trouble === "certificate-of-another-host") {
    return {
      code: "CONNECTION_FAILED",
      advice: "Its certificate is that of another host: use the name it is made for",
    };
  }
  if (trouble === "no-host") return { code: "CONNECTION_FAILED", advice: "There is no host of this name" };
  if (trouble === "refused") {
    return { code: "CONNECTION_FAILED", retryable: true, advice: "No server listens there: check host and port" };
  }
  return {
    code: "CONNECTION_FAILED",
    retryable: true,
    advice: "Check host and port, and whether the server wants TLS (rediss://)",
  };
}
