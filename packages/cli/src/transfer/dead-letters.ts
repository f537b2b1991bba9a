import { join, resolve } from "node:path";
import { type EndpointInput, parseEndpoint } from "@omni/p2p-core";
import { expandVariables } from "../endpoints/expand.ts";
import { UsageError } from "../usage-error.ts";
import type { TransferJob } from "./job.ts";

/**
 * Where failed records go.
 *
 * @param given a file, an endpoint's URL, `false` for nowhere, or nothing for a file in the state folder.
 */
export function deadLetterPlace(
  given: string | boolean | undefined,
  transferId: string,
  stateDir: string | undefined,
): TransferJob["deadLetters"] {
  if (given === false) return false;
  if (typeof given !== "string") {
    // Without a folder of the user's the core names the file itself.
    return stateDir === undefined ? undefined : join(stateDir, `${encodeURIComponent(transferId)}.dead-letters.ndjson`);
  }
  const text = expandVariables(given, "--dead-letter");
  return isUrl(text) ? { endpoint: parseEndpoint(text) satisfies EndpointInput } : text;
}

/** `C:\failed.ndjson` is a file too, so a scheme has two letters or more. */
function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9.+-]+:/i.test(text);
}

/** Keeps a replay from emptying the very file that it reads. */
export function assertOtherFile(source: string, deadLetters: TransferJob["deadLetters"]): void {
  if (typeof deadLetters === "string" && resolve(deadLetters) === resolve(source)) {
    throw new UsageError(
      "The records that fail once more cannot go into the file that is being replayed",
      "give another file with --dead-letter, or none for the default",
    );
  }
}
