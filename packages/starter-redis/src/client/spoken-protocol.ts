import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** Where to ask. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Whether a server answers in plain Redis: one that waits for the rest of a TLS greeting never says so by itself. */
export function speaksPlain({ host, port }: Address, timeoutMs: number): Promise<boolean> {
  const socket = connectTcp({ host, port });
  socket.once("connect", () => socket.write("PING\r\n"));
  return answer(socket, timeoutMs, (settle) =>
    socket.once("data", (data) => settle(/^[+-]/.test(data.toString("latin1")))),
  );
}

/** Whether a server takes part in a TLS handshake, whatever its certificate. */
export function speaksTls({ host, port }: Address, timeoutMs: number): Promise<boolean> {
  const socket = connectTls({ host, port, rejectUnauthorized: false });
  return answer(socket, timeoutMs, (settle) => socket.once("secureConnect", () => settle(true)));
}

function answer(socket: Socket, timeoutMs: number, listen: (settle: (is: boolean) => void) => void): Promise<boolean> {
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
