import { type EndpointInfo, type OptionSpecs, parseOptions } from "@omni/p2p-core/starter";

/** What a memory endpoint can be told in its metadata; its `database` is the name of the store. */
export const memoryOptions = {
  journal: {
    type: "number",
    description: "How many changes the store remembers for those who follow it, from the first of them on.",
    default: 100_000,
    min: 1,
    max: 10_000_000,
  },
} as const satisfies OptionSpecs;

/** What an endpoint asks for. */
export interface MemoryEndpoint {
  /** The name of the store. */
  readonly name: string;
  /** Changes that it remembers. */
  readonly journal: number;
}

/**
 * Checks an endpoint and says which store it means.
 *
 * @throws P2PError `INVALID_ENDPOINT`
 */
export function parseMemoryEndpoint(endpoint: EndpointInfo): MemoryEndpoint {
  const { journal } = parseOptions(memoryOptions, endpoint);
  return { name: endpoint.database ?? "default", journal };
}
