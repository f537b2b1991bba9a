import { type EndpointInput, parseEndpoint } from "@omni/p2p-core";
import { expandVariables } from "../endpoints/environment.ts";
import type { TransferJob } from "./job.ts";

/**
 * Where failed records go.
 *
 * @param given a file, an endpoint's URL, `false` for nowhere, or nothing for a file in the state folder, which the core names.
 */
export function deadLetterPlace(given: string | boolean | undefined): TransferJob["deadLetters"] {
  if (given === false) return false;
  if (typeof given !== "string") return undefined;
  const text = expandVariables(given, "--dead-letter");
  return isUrl(text) ? { endpoint: parseEndpoint(text) satisfies EndpointInput } : text;
}

/** `C:\failed.ndjson` is a file too, so a scheme has two letters or more. */
function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9.+-]+:/i.test(text);
}
