import { settleSoon, withDeadline } from "../async/deadline.ts";
import { P2PError } from "../errors.ts";
import { openStore } from "./contract-checks.ts";
import { type EndpointInfo, endpointLabel } from "./endpoint.ts";
import type { OpenContext, P2PDataTransferService, P2PStarter } from "./service.ts";

/** How a store is opened, and how long that may take. */
export interface OpenRequest {
  readonly role: OpenContext["role"];
  /** How long it may take, in ms. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** The error of a store that does not answer in time. */
  readonly late?: () => P2PError;
}

/**
 * Opens a store with a deadline. One that opens after all, when nobody waits any more, is closed again.
 *
 * @throws what the starter throws, the signal's reason, or P2PError `TIMEOUT`.
 */
export async function openService(
  starter: P2PStarter,
  endpoint: EndpointInfo,
  { role, timeoutMs, signal, late = () => lateError(endpoint, timeoutMs) }: OpenRequest,
): Promise<P2PDataTransferService> {
  let opening: Promise<P2PDataTransferService> | undefined;
  try {
    return await withDeadline(timeoutMs, signal, late, (either) => {
      const open = async () => openStore(starter, endpoint, { role, signal: either, connectTimeoutMs: timeoutMs });
      opening = open();
      return opening;
    });
  } catch (error) {
    opening?.then(closeService, () => {});
    throw error;
  }
}

function lateError(endpoint: EndpointInfo, timeoutMs: number): P2PError {
  return new P2PError(
    "TIMEOUT",
    `${endpointLabel(endpoint)} did not answer within ${timeoutMs} ms; see whether it is up and reachable`,
    { retryable: true },
  );
}

/** Closes a store; one that takes for ever is left behind, and one that fails to close is of no more use either way. */
export async function closeService(service: P2PDataTransferService): Promise<void> {
  const close = async () => service.close();
  await settleSoon([close()]);
}
