import { type EndpointInput, type P2PConnectionManager, parseEndpoint, type TransferResult } from "@omni/p2p-core";
import { PREFIX } from "./cache.ts";

/** How a cache is filled. */
export interface WarmUpOptions {
  /** Most products to put into it: the best-sold ones. */
  readonly products: number;
  /** How long each stays, in seconds. */
  readonly ttl: number;
}

/** Fills the cache with the products that are asked for most. What is in it already is replaced, and stays anew. */
export async function warmUp(
  manager: P2PConnectionManager,
  mongodb: EndpointInput,
  redis: EndpointInput,
  { products, ttl }: WarmUpOptions,
): Promise<TransferResult> {
  const cache = parseEndpoint(redis);
  await using connection = await manager.establish(
    mongodb,
    { ...cache, metadata: { ...cache.metadata, prefix: PREFIX, ttl } },
    { description: "cache warm-up", transfer_timeout: 60_000 },
  );
  return await manager.transferThroughConnection(connection.connectionId, {
    where: { active: true },
    fields: ["name", "price", "updated"],
    orderBy: { field: "sold", direction: "desc" },
    limit: products,
  });
}
