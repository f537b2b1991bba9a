import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { BSON } from "mongodb";

/** Where to ask, as `host:port`. */
export type Address = string;

const OP_MSG = 2013;
/** Bytes of the header of a message: its length, two numbers that pair it with its answer, and its kind. */
const HEADER = 16;

/**
 * Whether a server answers without TLS: one that waits for the rest of a TLS greeting never says so by itself.
 *
 * Source: MongoDB wire protocol, "OP_MSG".
 */
export function speaksPlain(address: Address, timeoutMs: number, bson: typeof BSON): Promise<boolean> {
  const body = bson.serialize({ hello: 1, $db: "admin" });
  const message = Buffer.alloc(HEADER + 5);
  message.writeInt32LE(message.length + body.length, 0);
  message.writeInt32LE(1, 4);
  message.writeInt32LE(OP_MSG, 12);
  const socket = connectTcp(parse(address));
  socket.once("connect", () => socket.write(Buffer.concat([message, body])));
  return answer(socket, timeoutMs, (settle) =>
    socket.once("data", (data) => settle(data.length >= HEADER && data.readInt32LE(12) === OP_MSG)),
  );
}

/** Whether a server takes part in a TLS handshake, whatever its certificate. */
export function speaksTls(address: Address, timeoutMs: number): Promise<boolean> {
  const socket = connectTls({ ...parse(address), rejectUnauthorized: false });
  return answer(socket, timeoutMs, (settle) => socket.once("secureConnect", () => settle(true)));
}

function parse(address: Address): { host: string; port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)) };
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
