/** The catalogue of memory: the named stores of this process. */
import {
  type CollectionCatalogue,
  type CollectionName,
  collectionText,
  type EndpointInfo,
  endpointLabel,
  P2PError,
} from "@omni/p2p-core/starter";
import { memoryStores } from "../client/store.ts";
import { parseMemoryEndpoint } from "../endpoint.ts";

export const memoryCollections: CollectionCatalogue = {
  async list(endpoint, { signal }) {
    signal.throwIfAborted();
    assertNoStore(endpoint);
    return {
      collections: memoryStores().map(({ name, size }) => ({ name, kind: "collection", records: size, key: ["id"] })),
    };
  },
  endpointOf(endpoint: EndpointInfo, name: CollectionName) {
    assertNoStore(endpoint);
    return { ...endpoint, database: collectionText(name) };
  },
};

function assertNoStore(endpoint: EndpointInfo): void {
  parseMemoryEndpoint(endpoint);
  if (endpoint.database === undefined) return;
  throw new P2PError(
    "INVALID_ENDPOINT",
    `Invalid endpoint ${endpointLabel(endpoint)}: it names a store, and all of them are asked for; write "memory:"`,
  );
}
