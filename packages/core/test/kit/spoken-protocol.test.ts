import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type HostPort, speaksPlain, speaksTls } from "../../src/starter.ts";

const running: (() => void)[] = [];
afterEach(() => {
  for (const stop of running.splice(0)) stop();
});

async function serve(onSocket: (socket: Socket) => void): Promise<HostPort> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  running.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

const isPong = (data: Buffer) => data.toString().startsWith("+PONG");

describe("speaksPlain", () => {
  it("is so where the answer to the greeting is one of the protocol", async () => {
    const server = await serve((socket) => socket.once("data", (data) => socket.write(`+PONG to ${data}`)));
    expect(await speaksPlain(server, 5000, "PING\r\n", isPong)).toBe(true);
  });

  it("is not so where something else comes, nothing, or the end", async () => {
    const other = await serve((socket) => socket.write("HTTP/1.1 400"));
    const silent = await serve(() => {});
    const rude = await serve((socket) => socket.destroy());
    expect(await speaksPlain(other, 5000, "PING\r\n", isPong)).toBe(false);
    expect(await speaksPlain(silent, 50, "PING\r\n", isPong)).toBe(false);
    expect(await speaksPlain(rude, 5000, "PING\r\n", isPong)).toBe(false);
  });

  it("is not so where nobody listens", async () => {
    const gone = await serve(() => {});
    for (const stop of running.splice(0)) stop();
    expect(await speaksPlain(gone, 5000, "PING\r\n", isPong)).toBe(false);
    expect(await speaksTls(gone, 5000)).toBe(false);
  });
});

describe("speaksTls", () => {
  it("is not so where plain text answers the handshake, or nothing does", async () => {
    const plain = await serve((socket) => socket.once("data", () => socket.write("-ERR unknown command\r\n")));
    const silent = await serve(() => {});
    expect(await speaksTls(plain, 5000)).toBe(false);
    expect(await speaksTls(silent, 50)).toBe(false);
  });
});
