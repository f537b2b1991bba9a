import type { ConnectionConfigInput, P2PQuery, P2PValue } from "@omni/p2p-core";
import { conversionName } from "@omni/p2p-core/engine";
import { encodeJson } from "@omni/p2p-core/starter";
import type { ResolvedEndpoint } from "../endpoints/resolve.ts";
import { conversionIn } from "./settings.ts";
import { shortHash } from "./transform-file.ts";

/** What a transfer is about. */
export interface TransferSubject {
  readonly source: ResolvedEndpoint;
  readonly target: ResolvedEndpoint;
  readonly query: P2PQuery;
  readonly mode: string | undefined;
  /** Where the transform is. */
  readonly transform: string | undefined;
  /** The settings, of which those count that make other values of the records. */
  readonly config: ConnectionConfigInput;
}

/**
 * The id of a transfer that was given none: the same for the same subject, so that `--resume` alone finds its
 * checkpoint. How it is run (batch size, retries) does not matter, nor do passwords.
 */
export function deriveTransferId({ source, target, query, mode, transform, config }: TransferSubject): string {
  const conversion = conversionName(conversionIn(config));
  const subject = [
    source.shown,
    target.shown,
    encodeJson(query as unknown as P2PValue),
    mode ?? "upsert",
    transform ?? "",
    ...(conversion === "" ? [] : [conversion]),
  ];
  const types = `${source.endpoint.storageType}-${target.endpoint.storageType}`;
  return `${types}-${shortHash(JSON.stringify(subject)).slice(0, 8)}`;
}
