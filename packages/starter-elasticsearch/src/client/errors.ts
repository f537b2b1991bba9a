import { isP2PError, LOST, P2PError } from "@omni/p2p-core/starter";
import { type Phase, type Refusal, TYPE_MISMATCH, type Verdict, verdictOf } from "./verdicts.ts";

/** A request to an endpoint, as errors tell of it. */
export interface Task {
  /** How the endpoint is called in messages. */
  readonly label: string;
  readonly phase: Phase;
}

/** The error of a refused request. */
export function refusalError(refusal: Refusal, task: Task): P2PError {
  const judged = verdictOf(refusal, task.phase);
  // What does not fit is a record. A request as a whole has something else wrong with it.
  const verdict: Verdict =
    judged === TYPE_MISMATCH ? { code: "WRITE_FAILED", advice: "check the endpoint's options" } : judged;
  const said = refusal.cause ? `${refusal.cause.type}: ${refusal.cause.reason}` : `HTTP status ${refusal.status}`;
  return new P2PError(verdict.code, `${task.label} answered ${said}; ${verdict.advice}`, {
    retryable: verdict.retryable ?? false,
    ...(refusal.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs }),
  });
}

/** The error of an index whose documents have no order in which reading them could be resumed. */
export function unnumberedError(index: string, label: string): P2PError {
  const what = `${label} cannot be read: the index "${index}" does not number its changes (index.disable_sequence_numbers)`;
  return new P2PError("UNSUPPORTED_QUERY", `${what}; copy it with _reindex to an index that does, and read that`);
}

/** The error of one record that was refused within a request. */
export function recordError(id: string, refusal: Refusal, label: string): P2PError {
  return itemError(`${label} did not take the record ${JSON.stringify(id)}`, refusal);
}

/** The error of one record that was not deleted. */
export function deletionError(id: string, refusal: Refusal, label: string): P2PError {
  return itemError(`${label} did not delete the record ${JSON.stringify(id)}`, refusal);
}

function itemError(what: string, refusal: Refusal): P2PError {
  const { code, retryable, advice } = verdictOf(refusal, "write");
  const { type, reason } = refusal.cause ?? { type: `status ${refusal.status}`, reason: "no reason was given" };
  return new P2PError(code, `${what}: ${type}: ${reason}; ${advice}`, {
    retryable: retryable ?? false,
    ...(refusal.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs }),
  });
}

const TLS_TROUBLE =
  /wrong version number|packet length too long|record layer|EPROTO|SSL routines|HPE_INVALID|Expected HTTP|before secure TLS/i;
const CERTIFICATE_TROUBLE = /certificate|self[- ]signed|altnames|issuer|fingerprint|CERT_/i;

/**
 * The error of a request that got no answer. The client's errors carry the request with its headers, so nothing of
 * them is kept but a name and a message.
 */
export function clientError(thrown: unknown, { label, phase }: Task): P2PError {
  if (isP2PError(thrown)) return thrown;
  const { name, message } = thrown instanceof Error ? thrown : { name: "Error", message: String(thrown) };
  const cause = Object.assign(new Error(message), { name, stack: undefined });
  const lost = LOST[phase];
  if (name === "TimeoutError") {
    return new P2PError("TIMEOUT", `${label} did not answer in time; see requestTimeoutMs`, { cause, retryable: true });
  }
  if (name === "ProductNotSupportedError") {
    return new P2PError("CONNECTION_FAILED", `What answers at ${label} is not Elasticsearch 8 or 9, nor OpenSearch`, {
      cause,
    });
  }
  if (name === "ConfigurationError") return new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${label}: ${message}`);
  if (TLS_TROUBLE.test(message)) {
    const advice = "one side speaks TLS and the other does not; write elasticsearch:// or elasticsearch+https://";
    return new P2PError(lost, `${label} could not be understood (${message}); ${advice}`, { cause });
  }
  if (CERTIFICATE_TROUBLE.test(message)) {
    const advice = "give its authority with caFile or caFingerprint";
    return new P2PError(lost, `The certificate of ${label} was not accepted (${message}); ${advice}`, { cause });
  }
  const advice =
    phase === "open"
      ? "check host and port, that the server runs, and whether it wants elasticsearch+https://"
      : "it can be tried again when the server is back";
  return new P2PError(lost, `${label} could not be reached (${message}); ${advice}`, {
    cause,
    retryable: phase !== "open",
  });
}
