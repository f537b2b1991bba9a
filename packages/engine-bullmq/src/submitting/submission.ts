import type { ConnectionConfigInput, FailureTolerance, P2PQuery, P2PValue } from "@omni/p2p-core";
import { parseConfig, parseRate } from "@omni/p2p-core/engine";
import { encodeJson, parseQuery } from "@omni/p2p-core/starter";
import { invalid } from "../errors.ts";
import { MAX_SPEC_CHARACTERS, PROTOCOL_VERSION, type TransferSpec, type VerifyKind } from "../protocol.ts";

/** A transfer to be spread over workers. */
export interface TransferSubmission {
  /** Names the transfer; no other may have it. 1 to 150 characters. */
  readonly id: string;
  /** The name of an endpoint of the workers. */
  readonly source: string;
  /** The name of an endpoint of the workers. */
  readonly target: string;
  /** Default: everything. */
  readonly query?: P2PQuery;
  /** Partitions, of which each is run by one worker at a time. Default 16. */
  readonly partitions?: number;
  /**
   * Pieces that each partition is planned in, at most: none is shorter than four times what is written at a time. Pieces that
   * nobody has begun are given to workers that have nothing else to do, so more of them even out a skew better; each
   * costs a checkpoint. Default 4.
   */
  readonly grains?: number;
  /** Settings of the transfer. `maxFailures` is borne by the whole. */
  readonly config?: Omit<ConnectionConfigInput, "partitions">;
  /** The name of a transform of the workers. Default: none. */
  readonly transform?: string;
  /** The name of an endpoint for the dead letters. Default: they are kept in the engine's Redis. */
  readonly deadLetters?: string;
  /** How both sides are compared at the end. Default `"count"`. */
  readonly verify?: VerifyKind;
  /** How long the signature holds, in ms, where it is signed: until then it must have ended, or be resumed. Default 7 days. */
  readonly validFor?: number;
}

/** How long signatures hold, in ms. */
const VALID_FOR_MS = 7 * 24 * 3600 * 1000;
const MOST_VALID_MS = 10 * 365 * 24 * 3600 * 1000;

/** Most grains of a transfer. */
const MAX_GRAINS = 100_000;

/**
 * Checks a submission and completes it.
 *
 * @param signed whether it will be signed, and holds for a while alone.
 * @throws P2PError `INVALID_CONFIG` or `INVALID_QUERY`
 */
export function specFrom(submission: TransferSubmission, signed: boolean): TransferSpec {
  const { id, query = {}, partitions = 16, grains = 4, config = {}, verify = "count" } = submission;
  if (typeof id !== "string" || id === "" || id.length > 150 || !id.isWellFormed()) {
    throw invalid('"id" must be a string of 1 to 150 characters');
  }
  for (const key of ["source", "target", "transform", "deadLetters"] as const) {
    const name = submission[key];
    if (name === undefined && key !== "source" && key !== "target") continue;
    if (typeof name !== "string" || name === "") throw invalid(`"${key}" must be a name`);
    // A URL may hold a password, and jobs must not.
    if (name.includes(":")) {
      throw invalid(`"${key}" must be a name that the workers know, not a URL; give the URL to the workers' endpoints`);
    }
  }
  const { validFor = VALID_FOR_MS } = submission;
  for (const [key, value] of Object.entries({ partitions, grains, validFor })) {
    if (!Number.isSafeInteger(value) || value < 1) throw invalid(`"${key}" must be a whole number from 1 up`);
  }
  if (validFor > MOST_VALID_MS) throw invalid('"validFor" must be 10 years at most, in ms');
  if (partitions * grains > MAX_GRAINS) throw invalid(`"partitions" times "grains" must be ${MAX_GRAINS} at most`);
  if (!["none", "count", "full"].includes(verify)) throw invalid('"verify" must be "none", "count" or "full"');
  parseQuery(query);
  const { maxFailures, rateLimit } = parseConfig(config as ConnectionConfigInput);
  if (rateLimit !== undefined && parseRate(rateLimit).bytes !== undefined) {
    throw invalid(
      '"rateLimit" of a distributed transfer is of records, such as "5000/s": bytes are known to each worker alone',
    );
  }
  const { maxFailures: _, max_failures: __, ...settings } = config as ConnectionConfigInput;
  const createdAt = new Date();
  return {
    v: PROTOCOL_VERSION,
    id,
    source: submission.source,
    target: submission.target,
    query: encodeJson(query as unknown as P2PValue),
    partitions,
    grains,
    config: settings as ConnectionConfigInput,
    ...(maxFailures !== undefined && { maxFailures: maxFailures as FailureTolerance }),
    ...(submission.transform !== undefined && { transform: submission.transform }),
    ...(submission.deadLetters !== undefined && { deadLetters: submission.deadLetters }),
    verify,
    createdAt: createdAt.toISOString(),
    ...(signed && { expiresAt: new Date(createdAt.getTime() + validFor).toISOString() }),
  };
}

/**
 * A submission as it is kept and signed.
 *
 * @throws P2PError `INVALID_CONFIG` when it is longer than a worker takes.
 */
export function specText(spec: TransferSpec): string {
  const text = JSON.stringify(spec);
  if (text.length <= MAX_SPEC_CHARACTERS) return text;
  throw invalid(
    `the submission has ${text.length} characters, and ${MAX_SPEC_CHARACTERS} are allowed; split a long list of its query over several transfers`,
  );
}
