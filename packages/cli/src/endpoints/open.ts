import { isP2PError, P2PError, type P2PErrorCode } from "@omni/p2p-core";
import { completeTarget, openStore, redactError } from "@omni/p2p-core/engine";
import {
  type OpenContext,
  type P2PDataTransferService,
  secretsOf,
  toP2PError,
  unlessAborted,
} from "@omni/p2p-core/starter";
import type { Session } from "../session/session.ts";
import { withinLimit } from "../supervision/channel.ts";
import { describeEndpoint, type ResolvedEndpoint } from "./resolve.ts";

/** Time in which a store must answer unless the user says otherwise, in ms. */
const CONNECTION_TIMEOUT = 5000;

/** What a starter is told when it opens, inspects or describes an endpoint from here. */
export function openContext(role: OpenContext["role"], session: Session, timeoutMs = CONNECTION_TIMEOUT): OpenContext {
  const signal = AbortSignal.any([session.signal, AbortSignal.timeout(timeoutMs)]);
  return { role, connectTimeoutMs: timeoutMs, signal };
}

/** The target as a copy opens it: with what its endpoint leaves open taken from the source. */
export async function completedTarget(
  target: ResolvedEndpoint,
  source: ResolvedEndpoint,
  session: Session,
  timeoutMs = CONNECTION_TIMEOUT,
): Promise<ResolvedEndpoint> {
  try {
    const limits = { timeoutMs, signal: session.signal };
    const endpoint = await completeTarget(target.starter, target.endpoint, source.endpoint, limits);
    return endpoint === target.endpoint ? target : { ...target, endpoint, shown: describeEndpoint(endpoint) };
  } catch (error) {
    throw told(error, target, "CONNECTION_FAILED", "could not be opened");
  }
}

/** Does a piece of work with a store, and closes it. Errors come out without the endpoint's secrets. */
export async function withStore<T>(
  end: ResolvedEndpoint,
  context: OpenContext,
  work: (store: P2PDataTransferService) => Promise<T>,
): Promise<T> {
  const store = await withinTime(end, context, () => {
    const opening = openStore(end.starter, end.endpoint, context);
    // A store that opens after all, when nobody waits any more, is not left open.
    opening.then((late) => (context.signal.aborted ? late.close() : undefined)).catch(() => {});
    return opening;
  });
  try {
    return await work(store);
  } catch (error) {
    throw told(error, end, "READ_FAILED", "could not be read");
  } finally {
    await store.close();
  }
}

/** Waits for what a starter does for an endpoint, but no longer than the connection timeout. */
export async function withinTime<T>(end: ResolvedEndpoint, context: OpenContext, work: () => Promise<T>): Promise<T> {
  const { signal, connectTimeoutMs } = context;
  try {
    signal.throwIfAborted();
    return await withinLimit(connectTimeoutMs, `${end.shown} did not answer within ${connectTimeoutMs} ms`, () =>
      unlessAborted(work(), signal),
    );
  } catch (error) {
    if (isP2PError(error) || (signal.reason as Error | undefined)?.name !== "TimeoutError") {
      throw told(error, end, "CONNECTION_FAILED", "could not be opened");
    }
    throw new P2PError(
      "TIMEOUT",
      `${end.shown} did not answer within ${connectTimeoutMs} ms; see whether it is up and reachable`,
    );
  }
}

function told(error: unknown, { endpoint, shown }: ResolvedEndpoint, code: P2PErrorCode, what: string): unknown {
  return redactError(toP2PError(error, code, `${shown} ${what}`), secretsOf(endpoint));
}
