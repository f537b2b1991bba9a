/** Sockets to a server: TCP or Unix, and the TLS handshake as PostgreSQL's protocol begins it. */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { type HostPort, onAbort } from "@omni/p2p-core/starter";
import { isSocketFolder, socketPath } from "../endpoint.ts";

/** Silence on a socket after which the system asks whether the other side is still there, in ms. */
const KEEP_ALIVE_MS = 10_000;

/** The request for TLS: its length, and a number that is no version of the protocol. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** That the other side does not speak as a PostgreSQL server does, or not the way that was asked for. */
export class ProtocolMismatch extends Error {
  /** `plain`: it does not encrypt; `stranger`: it is no PostgreSQL server. */
  readonly kind: "plain" | "stranger";

  constructor(kind: "plain" | "stranger", message: string) {
    super(message);
    this.name = "ProtocolMismatch";
    this.kind = kind;
  }
}

/** How a socket is to be opened. */
export interface SocketRequest {
  readonly at: HostPort;
  /** What Node's TLS is to be told; absent for a plain connection. */
  readonly tls?: ConnectionOptions | undefined;
  /** Whether TLS begins without asking. */
  readonly direct?: boolean;
}

/** Opens a socket, encrypted if asked for; it is destroyed when that fails or the signal aborts. */
export async function openSocket({ at, tls, direct }: SocketRequest, signal: AbortSignal): Promise<Socket> {
  const socket = isSocketFolder(at.host) ? connectTcp(pathOf(at)) : connectTcp(at.port, at.host);
  const forget = onAbort(signal, () => socket.destroy(signal.reason as Error));
  try {
    await heard(socket, "connect");
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    if (tls === undefined) return socket;
    if (direct !== true) await askForTls(socket);
    return await encrypt(socket, at.host, tls, direct === true, signal);
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    throw error;
  } finally {
    forget();
  }
}

/** The path of a server's Unix socket; Node begins that of an abstract one by a NUL character. */
function pathOf(at: HostPort): string {
  return socketPath(at).replace(/^@/, "\0");
}

async function askForTls(socket: Socket): Promise<void> {
  socket.write(SSL_REQUEST);
  const [answer] = (await heard(socket, "data")) as [Buffer];
  // More than one byte before the handshake would be somebody's in between.
  if (answer.length === 1 && answer[0] === 0x53) return;
  if (answer[0] === 0x4e) throw new ProtocolMismatch("plain", "the server does not speak TLS");
  // A server that is full or starting says so by an error at once, which a plain connection hears in words.
  if (answer[0] === 0x45) throw new ProtocolMismatch("plain", "the server refused to begin TLS");
  throw new ProtocolMismatch("stranger", "what answers there is no PostgreSQL server");
}

async function encrypt(
  socket: Socket,
  host: string,
  tls: ConnectionOptions,
  direct: boolean,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const encrypted = connectTls({
    ...tls,
    socket,
    host,
    // A name that is an address is none to ask for.
    ...(isIP(host) === 0 && { servername: host }),
    ...(direct && { ALPNProtocols: ["postgresql"] }),
  });
  const forget = onAbort(signal, () => encrypted.destroy(signal.reason as Error));
  try {
    await heard(encrypted, "secureConnect");
    return encrypted;
  } catch (error) {
    encrypted.destroy();
    throw error;
  } finally {
    forget();
  }
}

/** The next event of a name; rejects when the socket fails or is closed before. */
function heard(socket: Socket, event: string): Promise<unknown[]> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown[]>();
  const onEvent = (...values: unknown[]) => settle(() => resolve(values));
  const onError = (error: Error) => settle(() => reject(error));
  const onClose = () => settle(() => reject(new ClosedEarly()));
  const settle = (how: () => void) => {
    socket.off(event, onEvent).off("error", onError).off("close", onClose);
    // What comes after has no listener of ours any more, and would end the process.
    socket.on("error", () => {});
    how();
  };
  socket.once(event, onEvent).once("error", onError).once("close", onClose);
  return promise;
}

class ClosedEarly extends Error {
  readonly code = "ECONNRESET";
  constructor() {
    super("the other side closed the connection");
  }
}
