import { unlessAborted } from "../../async/abort.ts";
import type { ConnectionConfig } from "../../config.ts";
import { encodeJson } from "../../model/json.ts";
import type { P2PValue } from "../../model/value-tree.ts";
import { type EndpointInfo, endpointLabel } from "../../storage/endpoint.ts";
import type { P2PQuery } from "../../storage/query.ts";
import { redactEndpoint } from "../../storage/redact.ts";
import type { StoreIdentity } from "../../storage/service.ts";
import { type ConversionOptions, conversionName } from "../conversion/conversion.ts";
import type { TransferEnd } from "../end.ts";
import { RetryBudget, type RetryPolicy } from "../retry.ts";
import type { TransferIdentity } from "./checkpoint.ts";

/** What a transfer is about, as its checkpoint says it. */
export function identityOf(
  source: Pick<TransferEnd, "endpoint">,
  target: Pick<TransferEnd, "endpoint">,
  query: P2PQuery,
  {
    config,
    transformVersion,
  }: {
    readonly config: Pick<ConnectionConfig, "mode"> & ConversionOptions;
    readonly transformVersion: string;
  },
): TransferIdentity {
  const conversion = conversionName(config);
  return {
    source: identify(source.endpoint),
    target: identify(target.endpoint),
    query: encodeJson(query as unknown as P2PValue),
    mode: config.mode,
    transform: conversion === "" ? transformVersion : `${transformVersion} ${conversion}`,
  };
}

/** Asks a store what it is; one that is away for the moment is waited for, as in reading and writing. */
export async function persistentIdentity(
  { service }: Pick<TransferEnd, "service">,
  retry: RetryPolicy,
  signal: AbortSignal,
): Promise<StoreIdentity> {
  const budget = new RetryBudget(retry);
  for (;;) {
    try {
      return await unlessAborted(service.identity(signal), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(await budget.again(error, signal))) throw error;
    }
  }
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
