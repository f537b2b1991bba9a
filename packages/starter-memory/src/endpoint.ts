import { type EndpointInfo, type OptionSpecs, parseOptions } from "@omni/p2p-core/starter";

/** A memory endpoint has no options; its `database` is the name of the store. */
export const memoryOptions = {} as const satisfies OptionSpecs;

/** What an endpoint asks for. */
export interface MemoryEndpoint {
  /** The name of the store. */
  readonly name: string;
}

/**
 * Checks an endpoint and says which store it means.
 *
 * @throws P2PError `INVALID_ENDPOINT`
 */
export function parseMemoryEndpoint(endpoint: EndpointInfo): MemoryEndpoint {
  parseOptions(memoryOptions, endpoint);
  return { name: endpoint.database ?? "default" };
}
