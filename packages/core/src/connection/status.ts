import { P2PError } from "../errors.ts";

/** The state of a connection. */
export const ConnectionStatus = {
  /** Being opened, for the first time or anew. */
  CONNECTING: "CONNECTING",
  /** Open, and nothing has been transferred yet. */
  ESTABLISHED: "ESTABLISHED",
  TRANSFERRING: "TRANSFERRING",
  /** Open, between two transfers. */
  IDLE: "IDLE",
  /** A store cannot be reached. */
  ERROR: "ERROR",
  CLOSED: "CLOSED",
} as const;

export type ConnectionStatus = (typeof ConnectionStatus)[keyof typeof ConnectionStatus];

/** Every step that a connection may take. */
const TRANSITIONS: Readonly<Record<ConnectionStatus, readonly ConnectionStatus[]>> = {
  CONNECTING: ["ESTABLISHED", "ERROR", "CLOSED"],
  ESTABLISHED: ["TRANSFERRING", "ERROR", "CLOSED"],
  TRANSFERRING: ["IDLE", "ERROR", "CLOSED"],
  IDLE: ["TRANSFERRING", "ERROR", "CLOSED"],
  ERROR: ["CONNECTING", "CLOSED"],
  CLOSED: [],
};

/**
 * Makes sure that a connection may go from one state to another.
 *
 * @throws P2PError `INVALID_STATE`
 */
export function assertTransition(from: ConnectionStatus, to: ConnectionStatus): void {
  if (TRANSITIONS[from].includes(to)) return;
  const ways = TRANSITIONS[from].join(", ") || "nothing";
  throw new P2PError(
    "INVALID_STATE",
    `A connection cannot go from ${from} to ${to}; from ${from} leads the way to ${ways}`,
  );
}

/** What leads out of a state in which no transfer can start. */
const WAYS_OUT: Readonly<Record<ConnectionStatus, string>> = {
  CONNECTING: "wait until it is established",
  ESTABLISHED: "it can transfer",
  TRANSFERRING: "wait for the transfer under way to end, or establish another connection for a second one",
  IDLE: "it can transfer",
  ERROR: "set auto_reconnect, or close it and establish it anew",
  CLOSED: "establish it anew",
};

/** The error for a transfer in a state that does not allow one, with the guide's message first. */
export function invalidForTransfer(status: ConnectionStatus): P2PError {
  return new P2PError(
    "INVALID_STATE",
    `Connection is not in a valid state for transfer: it is ${status}; ${WAYS_OUT[status]}`,
  );
}
