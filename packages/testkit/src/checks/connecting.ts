import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type EndpointInfo, isP2PError } from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { type Bench, calm, rejection, within } from "../bench.ts";
import { check, group, type Skip, type Suite } from "../suite.ts";
import { expectCode } from "./contract.ts";

const CONNECT_TIMEOUT_MS = 500;
/** What an adapter may take beyond its timeout to tidy up, in milliseconds. */
const GRACE_MS = 1500;
const PLANTED = "planted-s3cret";

/** What becomes of a server that is not there, or does not answer; for adapters whose endpoints have a host and a port. */
export function connectingChecks(suite: Suite): void {
  const { starter } = suite.adapter;

  async function elsewhere(bench: Bench, skip: Skip, port: number): Promise<EndpointInfo> {
    const place = await bench.place();
    if (place.host === undefined) skip("endpoints of this store have no host");
    const { hosts: _, ...metadata } = place.metadata ?? {};
    return { ...place, host: "127.0.0.1", port, metadata };
  }

  group("connecting", () => {
    check(suite, "a port where nobody listens is CONNECTION_FAILED", async (bench, skip) => {
      const place = await elsewhere(bench, skip, await unusedPort());
      for (const role of ["source", "target"] as const) {
        const options = { role, signal: calm(), connectTimeoutMs: CONNECT_TIMEOUT_MS };
        const opening = starter.open(place, options);
        const error = await within(CONNECT_TIMEOUT_MS + GRACE_MS, "open", rejection(opening, "opening a closed port"));
        expectCode(error, "CONNECTION_FAILED");
        expect((error as Error).message, "the message names the endpoint").toContain("127.0.0.1");
      }
    });

    check(suite, "a server that accepts and never answers is given up at the timeout", async (bench, skip) => {
      await using server = await silentServer();
      const place = await elsewhere(bench, skip, server.port);
      const startedAt = performance.now();
      const options = { role: "target", signal: calm(), connectTimeoutMs: CONNECT_TIMEOUT_MS } as const;
      const opening = starter.open(place, options);
      const error = await within(CONNECT_TIMEOUT_MS + GRACE_MS, "open", rejection(opening, "opening a silent server"));
      expect(isP2PError(error, "TIMEOUT") || isP2PError(error, "CONNECTION_FAILED"), String(error)).toBe(true);
      expect(performance.now() - startedAt, "given up too early").toBeGreaterThan(CONNECT_TIMEOUT_MS / 2);
      await within(GRACE_MS, "closing what was opened", server.empty());
    });

    check(suite, "an abort ends the wait for a server that never answers", async (bench, skip) => {
      await using server = await silentServer();
      const place = await elsewhere(bench, skip, server.port);
      const controller = new AbortController();
      const opening = starter.open(place, { role: "target", signal: controller.signal, connectTimeoutMs: 20_000 });
      setTimeout(() => controller.abort(new Error("given up")), 50);
      await within(GRACE_MS, "open after an abort", rejection(opening, "opening a silent server"));
      await within(GRACE_MS, "closing what was opened", server.empty());
    });

    check(suite, "law 8, secrecy: a failed connection does not tell the password", async (bench, skip) => {
      const place = await elsewhere(bench, skip, await unusedPort());
      const metadata = { ...place.metadata, username: "planted-user", password: PLANTED };
      const options = { role: "source", signal: calm(), connectTimeoutMs: CONNECT_TIMEOUT_MS } as const;
      const error = await rejection(starter.open({ ...place, metadata }, options), "opening a closed port");
      expect(`${(error as Error).message}\n${(error as Error).stack}`).not.toContain(PLANTED);
    });
  });
}

/** A server that takes connections and says nothing. */
interface SilentServer extends AsyncDisposable {
  readonly port: number;
  /** Resolves when all who came have gone. */
  empty(): Promise<void>;
}

async function silentServer(): Promise<SilentServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.resume();
  });
  const port = await listen(server);
  return {
    port,
    async empty() {
      while (sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

async function unusedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, "close");
  return port;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
