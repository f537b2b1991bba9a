/** Cancel requests: a statement is called off at the server by a connection of its own. */
import { once } from "node:events";
import { openSocket, type SocketRequest } from "./socket.ts";

/** What names a session at the server. */
export interface BackendKey {
  readonly processId: number;
  readonly secretKey: number;
}

const CANCEL_REQUEST = 80_877_102;
/** Time for a cancel request to get through, in ms. */
const CANCEL_MS = 1000;

/** Asks the server to give up what a session is doing. Whether it came in time nobody says. */
export async function cancelStatement(request: SocketRequest, { processId, secretKey }: BackendKey): Promise<void> {
  const message = Buffer.alloc(16);
  message.writeInt32BE(16, 0);
  message.writeInt32BE(CANCEL_REQUEST, 4);
  message.writeInt32BE(processId, 8);
  message.writeInt32BE(secretKey, 12);
  try {
    const socket = await openSocket(request, AbortSignal.timeout(CANCEL_MS));
    socket.setTimeout(CANCEL_MS, () => socket.destroy());
    // The server closes it without a word when the signal is on its way: a later statement must not get it. It is not
    // closed from this side, not even half: PgBouncer 1.18 ends itself when it has a cancel request whose client is gone.
    const closed = once(socket, "close");
    socket.write(message);
    socket.resume();
    await closed;
  } catch {
    // Who asked destroys the connection when the statement goes on.
  }
}
