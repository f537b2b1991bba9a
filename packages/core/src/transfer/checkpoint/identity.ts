import type { ConnectionConfig } from "../../config.ts";
import { encodeJson } from "../../model/json.ts";
import type { P2PValue } from "../../model/value-tree.ts";
import { type EndpointInfo, endpointLabel } from "../../storage/endpoint.ts";
import type { P2PQuery } from "../../storage/query.ts";
import { redactEndpoint } from "../../storage/redact.ts";
import type { TransferEnd } from "../end.ts";
import type { TransferIdentity } from "./checkpoint.ts";

/** What a transfer is about, as its checkpoint says it. */
export function identityOf(
  source: Pick<TransferEnd, "endpoint">,
  target: Pick<TransferEnd, "endpoint">,
  query: P2PQuery,
  { config, transformVersion }: { readonly config: Pick<ConnectionConfig, "mode">; readonly transformVersion: string },
): TransferIdentity {
  return {
    source: identify(source.endpoint),
    target: identify(target.endpoint),
    query: encodeJson(query as unknown as P2PValue),
    mode: config.mode,
    transform: transformVersion,
  };
}

/** The endpoint with its options and without its secrets, as text. */
export function identify(endpoint: EndpointInfo): string {
  const { metadata } = redactEndpoint(endpoint);
  const options = Object.entries(metadata ?? {})
    .filter(([, value]) => value === null || typeof value !== "object")
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${String(value)}`);
  return options.length > 0 ? `${endpointLabel(endpoint)}?${options.join("&")}` : endpointLabel(endpoint);
}
