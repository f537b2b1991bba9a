import type { ConnectionConfigInput, EndpointInput, P2PQuery, TransferOptions } from "@omni/p2p-core";
import type { ResolvedEndpoint } from "../endpoints/resolve.ts";
import type { ReplayCommand } from "./replay-command.ts";
import type { LoadedTransform } from "./transform-file.ts";

/** A transfer that is ready to be run. */
export interface TransferJob {
  /** How it is called on the screen. */
  readonly name: string;
  readonly source: ResolvedEndpoint;
  readonly target: ResolvedEndpoint;
  readonly query: P2PQuery;
  readonly config: ConnectionConfigInput;
  readonly transform: LoadedTransform | undefined;
  /** Only what is new. */
  readonly since?: TransferOptions["since"];
  readonly transferId: string;
  readonly resume: boolean;
  /** The folder of checkpoints; `undefined` is the core's own. */
  readonly stateDir: string | undefined;
  readonly deadLetters: string | false | { readonly endpoint: EndpointInput } | undefined;
  /** Letters of earlier runs in the file are let go rather than moved aside. */
  readonly deadLetterOverwrite: boolean;
  readonly verify: boolean;
  /** What to type to go on when it stops early. */
  readonly resumeCommand: string;
  readonly replayCommand: ReplayCommand;
}
