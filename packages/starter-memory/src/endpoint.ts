import { type EndpointInfo, type OptionSpecs, parseOptions } from "@omni/p2p-core/starter";

/** A memory endpoint has no options; its `database` is the name of the store. */
export const memoryOptions = {} as const satisfies OptionSpecs;

/** The name of the store an endpoint means. Default `"default"`. */
export function storeName(endpoint: EndpointInfo): string {
  parseOptions(memoryOptions, endpoint);
  return endpoint.database ?? "default";
}
