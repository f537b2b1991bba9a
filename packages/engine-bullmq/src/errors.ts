import { P2PError } from "@omni/p2p-core";

/** Why a worker lets go of a partition that is not at its end. */
export type LetGo = "paused" | "stopped" | "fenced" | "closing";

/** Ends the run of a partition at its cursor: somebody else goes on, later or never. */
export class LetGoError extends P2PError {
  readonly why: LetGo;

  constructor(why: LetGo, message: string) {
    super("ABORTED", message);
    this.why = why;
  }
}

export function fenced(transfer: string): LetGoError {
  return new LetGoError(
    "fenced",
    `This worker lost its claim on a partition of "${transfer}"; another worker goes on with it`,
  );
}

export function notFound(id: string): P2PError {
  return new P2PError(
    "TRANSFER_NOT_FOUND",
    `There is no distributed transfer "${id}"; list them to see which there are`,
  );
}

export function invalid(what: string): P2PError {
  return new P2PError("INVALID_CONFIG", `Invalid configuration: ${what}`);
}

/** What a worker does not do, whoever asks for it. */
export function refused(id: string, why: string): P2PError {
  return new P2PError("SUBMISSION_REFUSED", `The transfer "${id}" was refused by a worker: ${why}`);
}
