/** Opening the stream of a slot, and what it means when the server refuses or ends it. */
import { isP2PError, P2PError, sleep, withDeadline } from "@omni/p2p-core/starter";
import type { Connection } from "../client/connection.ts";
import { isServerError, postgresqlError, sqlState } from "../client/errors.ts";
import type { PostgresqlStore } from "../client/store.ts";
import { settingsOfSession } from "../client/transaction.ts";
import { Script } from "../client/work.ts";
import { unavailable } from "./published-table.ts";
import { ANSWER_MS, noAnswer, SlotStream, type StreamListener, takeLeave } from "./slot-stream.ts";
import { noReplication } from "./slots.ts";

/** How long a slot is waited for that another reads by, in ms: the server may not have noticed yet that it is gone. */
const TAKEN_MS = 5000;

const POOLER = "what answers there is a pooler, which does not speak the replication protocol; name the server itself";

/** What opens a stream. */
export interface StreamRequest {
  readonly slot: string;
  readonly publication: string;
  readonly from: bigint;
  readonly confirmed: bigint;
}

/**
 * Makes sure that replication can be had.
 *
 * @throws P2PError `CHANGES_UNAVAILABLE` with the setting or the right
 */
export async function probeReplication(store: PostgresqlStore, signal: AbortSignal): Promise<void> {
  const connection = await connect(store, signal);
  await takeLeave(connection);
}

/** Begins to read by a slot. */
export async function openSlotStream(
  store: PostgresqlStore,
  request: StreamRequest,
  listener: StreamListener,
  signal: AbortSignal,
): Promise<SlotStream> {
  const start = performance.now();
  while (true) {
    const connection = await connect(store, signal);
    const stream = new SlotStream(connection, request, listener);
    try {
      await answered(store, signal, () => stream.start());
      return stream;
    } catch (error) {
      connection.destroy();
      signal.throwIfAborted();
      if (sqlState(error) !== "55006") throw streamError(store, error);
      if (performance.now() - start > TAKEN_MS) {
        throw slotTaken(store, request.slot, error);
      }
    }
    await sleep(100, signal);
  }
}

/** The error of a slot that another one reads by. */
export function slotTaken({ label }: PostgresqlStore, slot: string, cause?: unknown): P2PError {
  return new P2PError(
    "BUSY",
    `${label}: the replication slot ${slot} is read by another one; stop it, or wait until the server has noticed that it is gone (wal_sender_timeout)`,
    { cause, retryable: true },
  );
}

/** What the server says at once, if it says anything. */
function answered<T>(store: PostgresqlStore, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  return withDeadline(ANSWER_MS, signal, () => noAnswer(store.label), ask);
}

async function connect(store: PostgresqlStore, signal: AbortSignal): Promise<Connection> {
  let connection: Connection | undefined;
  try {
    connection = await store.connectReplication(signal);
    const made = connection;
    for (const text of ["IDENTIFY_SYSTEM", settingsOfSession()]) {
      await answered(store, signal, () => made.run(new Script(text)));
    }
    return made;
  } catch (error) {
    connection?.destroy();
    signal.throwIfAborted();
    throw connectError(store, error);
  }
}

function connectError(store: PostgresqlStore, error: unknown): unknown {
  const cause = isServerError(error) ? error : (error as { readonly cause?: unknown }).cause;
  switch (sqlState(cause)) {
    case "42501":
      return unavailable(store, noReplication(store), cause);
    case "53300":
      return isOfSenders(cause)
        ? unavailable(store, "all walsenders are in use; raise max_wal_senders and restart the server", cause)
        : new P2PError("BUSY", `${store.label} is full: ${(cause as Error).message}`, { cause, retryable: true });
    // The parameter `replication` was refused, or not heeded.
    case "08P01":
    case "42601":
      return unavailable(store, POOLER, cause);
    case "28000":
      return unavailable(
        store,
        `${(cause as Error).message}; pg_hba.conf must let the user in for replication=database as well`,
        cause,
      );
    default:
  }
  if (isServerError(error)) return postgresqlError(error, "read", store.label);
  if (!isP2PError(error)) return error;
  if (/target_session_attrs=primary/.test(error.message)) {
    return unavailable(store, "the server is a standby; name the primary", error);
  }
  const isLost = error.code === "CONNECTION_FAILED" || error.code === "TIMEOUT";
  return isLost ? new P2PError("CONNECTION_LOST", error.message, { cause: error.cause, retryable: true }) : error;
}

function isOfSenders(cause: unknown): boolean {
  return /max_wal_senders/.test((cause as Error).message);
}

/** What it means that a stream was refused or ended. */
export function streamError(store: PostgresqlStore, error: unknown): P2PError {
  if (isP2PError(error)) return error;
  const lost = (what: string) =>
    new P2PError(
      "CHANGES_LOST",
      `${store.label} can no longer tell all changes: ${what}; a new position and a mirror make up for it`,
      { cause: error },
    );
  if (error === undefined) {
    return new P2PError("CONNECTION_LOST", `${store.label} ended the stream of its changes; try again`, {
      retryable: true,
    });
  }
  if (!isServerError(error)) return postgresqlError(error, "read", store.label);
  switch (error.code) {
    case "42704":
      return /publication/.test(error.message)
        ? unavailable(store, `its publication was dropped: ${error.message}`, error)
        : lost(error.message);
    case "55000":
      return /wal_level/.test(error.message)
        ? unavailable(store, `${error.message}; set wal_level = logical and restart the server`, error)
        : lost(error.message);
    case "58P01":
      return lost(error.message);
    case "42501":
      return unavailable(store, noReplication(store), error);
    default:
      return postgresqlError(error, "read", store.label);
  }
}
