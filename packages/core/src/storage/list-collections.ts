/** Asks the catalogue of a database, within a deadline. */
import { withDeadline } from "../async/deadline.ts";
import { P2PError, toP2PError } from "../errors.ts";
import type { CollectionList } from "./collections.ts";
import { type EndpointInfo, endpointLabel } from "./endpoint.ts";
import type { CollectionCatalogue, P2PStarter } from "./service.ts";

/**
 * The catalogue of a starter.
 *
 * @throws P2PError `UNSUPPORTED_OPERATION` where it has none, with the way out.
 */
export function catalogueOf({ collections }: P2PStarter, endpoint: EndpointInfo): CollectionCatalogue {
  if (collections !== undefined) return collections;
  throw new P2PError(
    "UNSUPPORTED_OPERATION",
    `${endpointLabel(endpoint)} does not tell which collections it has: the starter for '${endpoint.storageType}' has no catalogue. ` +
      "Name one collection after the other",
  );
}

/**
 * What a database lists.
 *
 * @param limits how long it may take, in ms, and a signal that gives it up.
 * @throws P2PError `UNSUPPORTED_OPERATION`, `TIMEOUT`, and what the starter throws.
 */
export async function listCollections(
  starter: P2PStarter,
  endpoint: EndpointInfo,
  { timeoutMs, signal: given }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<CollectionList> {
  const catalogue = catalogueOf(starter, endpoint);
  const label = endpointLabel(endpoint);
  const late = () =>
    new P2PError(
      "TIMEOUT",
      `${label} did not list its collections within the connection_timeout of ${timeoutMs} ms; see whether it is up and reachable, or allow more`,
      { retryable: true },
    );
  try {
    return await withDeadline(timeoutMs, given, late, async (signal) =>
      catalogue.list(endpoint, { role: "source", signal, connectTimeoutMs: timeoutMs }),
    );
  } catch (error) {
    given?.throwIfAborted();
    throw toP2PError(error, "CONNECTION_FAILED", `Failed to list the collections of ${label}`);
  }
}
