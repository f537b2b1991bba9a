/** Cancellation: the abort signal of a call, and the error of one that was called off. */
import { assertPlain } from "../described.ts";
import { isP2PError, P2PError } from "../errors.ts";
import type { Cancellable } from "./options.ts";

/**
 * The signal among the options of a call.
 *
 * @throws P2PError `INVALID_CONFIG` when it is none.
 */
export function signalOf(options: Cancellable): AbortSignal | undefined {
  assertPlain("options", options);
  const { signal } = options;
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw new P2PError("INVALID_CONFIG", 'Invalid configuration: "signal" must be an AbortSignal');
}

/** The error of a call whose signal has aborted. */
export function cancelled(what: string, signal: AbortSignal): P2PError {
  const reason: unknown = signal.reason;
  return isP2PError(reason) ? reason : new P2PError("ABORTED", `${what} was cancelled`, { cause: reason });
}

/** The signals that are there, as one. */
export function anySignal(first: AbortSignal, ...others: readonly (AbortSignal | undefined)[]): AbortSignal {
  const given = others.filter((signal) => signal instanceof AbortSignal);
  return given.length === 0 ? first : AbortSignal.any([first, ...given]);
}

/** The caller's signal with one of ours. What is no signal stays as it is: whoever checks the options refuses it. */
export function withCallers(own: AbortSignal, given: AbortSignal | undefined): AbortSignal {
  return given === undefined || given instanceof AbortSignal ? anySignal(own, given) : given;
}
