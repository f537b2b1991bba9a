import { P2PError } from "@omni/p2p-core/starter";
import { isGlob } from "./client/source-file.ts";
import type { FileEndpoint } from "./endpoint.ts";
import type { Format } from "./formats/format.ts";
import { PartedTarget } from "./writing/parted-target.ts";
import { FileTarget, type OpenTarget } from "./writing/target.ts";

/**
 * A target of this format, of which nothing is made yet.
 *
 * @throws P2PError `INVALID_ENDPOINT` for a pattern, `UNSUPPORTED_OPERATION` for a format that is only read.
 */
export function beginTarget(endpoint: FileEndpoint, format: Format): OpenTarget {
  if (isGlob(endpoint.path)) {
    throw new P2PError(
      "INVALID_ENDPOINT",
      `Invalid endpoint ${endpoint.label}: a pattern names many files, and a target is one; a name with *, ?, [, ], { or } cannot be written`,
    );
  }
  if (!format.writer && !format.convert) {
    throw new P2PError("UNSUPPORTED_OPERATION", `${endpoint.label} cannot be written: ${format.name} is only read`);
  }
  const { partSize } = endpoint.options;
  if (partSize === undefined) return new FileTarget(endpoint, format);
  if (endpoint.path === "-" || !format.writer) {
    throw new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${endpoint.label}: it is not written in parts of a size`);
  }
  return new PartedTarget(endpoint, format, partSize);
}
