import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { HostPort } from "./hosts.ts";

/**
 * Whether a server answers in plain text, in a protocol: one that waits for the rest of a TLS greeting never says by itself that
 * TLS is what it does not speak.
 *
 * @param greeting what is sent first.
 * @param isAnswer tells by the first bytes that come whether they are of the protocol.
 */
export function speaksPlain(
  { host, port }: HostPort,
  timeoutMs: number,
  greeting: string | Uint8Array,
  isAnswer: (data: Buffer) => boolean,
): Promise<boolean> {
  const socket = connectTcp({ host, port });
  socket.once("connect", () => socket.write(greeting));
  return told(socket, timeoutMs, (settle) => socket.once("data", (data) => settle(isAnswer(data))));
}

/** Whether a server takes part in a TLS handshake, whatever its certificate. */
export function speaksTls({ host, port }: HostPort, timeoutMs: number): Promise<boolean> {
  const socket = connectTls({ host, port, rejectUnauthorized: false });
  return told(socket, timeoutMs, (settle) => socket.once("secureConnect", () => settle(true)));
}

function told(socket: Socket, timeoutMs: number, listen: (settle: (is: boolean) => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (is: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(is);
    };
    const timer = setTimeout(settle, timeoutMs, false);
    socket.once("error", () => settle(false));
    socket.once("close", () => settle(false));
    listen(settle);
  });
}
