/** Verification of a connection: at rest, or while both sides change. */
import { type ConnectionConfig, parseConfig } from "../config.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { TransferEnd } from "../transfer/end.ts";
import { type AgainstOptions, type AgainstResult, againstWith } from "../transfer/verify/against.ts";
import { type VerifyOptions, type VerifyResult, verifyWith } from "../transfer/verify/verify.ts";
import { verifyLive } from "./live-verify.ts";

/**
 * Compares two stores record by record: by id, and by a hash of all fields with their types. The order of the fields of an object
 * is no difference.
 *
 * Both sides are read once, side by side, into digests of fixed size. Where these differ, both are read once more and only the
 * records behind the differing digests are compared, through temporary files. So the memory is bounded and the time
 * linear in the records, in whatever order the stores give them.
 *
 * A record that cannot be read or transformed is counted and listed as `unreadable`, and the others are compared.
 *
 * Neither side may change meanwhile, unless it is told to be `live`.
 *
 * @throws P2PError `INVALID_CONFIG`, `INVALID_QUERY`, `ABORTED`, or what reading a side as a whole throws.
 */
export async function verify(
  source: TransferEnd,
  target: TransferEnd,
  query: P2PQuery,
  options: VerifyOptions = {},
): Promise<VerifyResult> {
  return verifyAs(source, target, query, options, parseConfig());
}

/**
 * Holds one side against a certificate that an earlier comparison gave.
 *
 * @param certificate what was kept, as `JSON.parse` gives it.
 * @throws P2PError `CERTIFICATE_INVALID`, `INVALID_CONFIG`, `ABORTED`, or what reading the side as a whole throws.
 */
export async function verifyAgainst(
  end: TransferEnd,
  certificate: unknown,
  options: AgainstOptions = {},
): Promise<AgainstResult> {
  return againstWith(end, certificate, options, parseConfig());
}

/** {@link verify} with other settings for a store that fails for the moment. */
export async function verifyAs(
  source: TransferEnd,
  target: TransferEnd,
  query: P2PQuery,
  options: VerifyOptions,
  config: ConnectionConfig,
): Promise<VerifyResult> {
  const { as = config.as, recognise = config.recognise, misfits = config.misfits } = options;
  // What the transfers of the connection make of records is what the target is to hold.
  const whole = { ...options, as, recognise, misfits };
  return options.live === true
    ? verifyLive(source, target, query, whole, config)
    : verifyWith(source, target, query, whole, config);
}
