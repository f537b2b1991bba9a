import { resolve } from "node:path";
import { type EndpointInfo, endpointLabel, type OptionSpecs, P2PError, parseOptions } from "@omni/p2p-core/starter";

/** What endpoints of this kind begin with. */
export const STORAGE_TYPE = "json-files";

/** The options of a `json-files:` endpoint, as data: they are checked, read from URLs and documented by it. */
export const jsonFilesOptions = {
  indent: {
    type: "number",
    min: 0,
    max: 8,
    default: 0,
    description: "Spaces by which the files are indented; 0 puts a record on one line.",
  },
} as const satisfies OptionSpecs;

/** A `json-files:` endpoint, checked. */
export interface JsonFilesEndpoint {
  /** The folder, as an absolute path. */
  readonly folder: string;
  /** How messages call it. */
  readonly label: string;
  readonly indent: number;
}

/**
 * Checks an endpoint.
 *
 * @throws P2PError `INVALID_ENDPOINT`
 */
export function parseJsonFilesEndpoint(endpoint: EndpointInfo): JsonFilesEndpoint {
  const { indent } = parseOptions(jsonFilesOptions, endpoint);
  const label = endpointLabel(endpoint);
  if (endpoint.host !== undefined || endpoint.database === undefined) {
    throw new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${label}: name a folder, as in "json-files:./records"`);
  }
  return { folder: resolve(endpoint.database), label, indent };
}
