import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingHttpHeaders, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";

/** A request that came by. */
export interface PassingRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** An answer in place of the server's. */
export interface CannedAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Whether it claims to come from Elasticsearch. Default true. */
  readonly genuine?: boolean;
}

/** A proxy in front of the real server: it looks at requests, cuts connections, and puts in errors that are hard to provoke. */
export interface HttpProxy extends AsyncDisposable {
  /** As the beginning of an endpoint's URL. */
  readonly endpoint: string;
  readonly port: number;
  onRequest: (request: PassingRequest) => unknown;
  /** Answers in the server's place when it gives an answer. */
  answer: (request: PassingRequest) => CannedAnswer | undefined;
  /** Whether requests get no answer at all. */
  silent: boolean;
  /** Resets all connections. */
  cut(): void;
}

/** Starts a proxy to the server of a URL, which speaks TLS when it is given a key and a certificate. */
export async function startProxy(
  serverUrl: string,
  tls?: { readonly key: string; readonly cert: string },
): Promise<HttpProxy> {
  const sockets = new Set<Socket>();
  const proxy = {
    onRequest: (_: PassingRequest): unknown => undefined,
    answer: (_: PassingRequest): CannedAnswer | undefined => undefined,
    silent: false,
    cut: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
  };
  const server: Server = tls ? createTlsServer(tls) : createServer();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", () => {});
  server.on("request", async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(chunks);
    const { method = "GET", url: path = "/", headers } = incoming;
    const passing = { method, path, headers, body };
    proxy.onRequest(passing);
    if (proxy.silent || outgoing.destroyed) return;
    const canned = proxy.answer(passing);
    if (canned !== undefined) {
      const product = canned.genuine === false ? {} : { "x-elastic-product": "Elasticsearch" };
      outgoing.writeHead(canned.status, { "content-type": "application/json", ...product, ...canned.headers });
      outgoing.end(typeof canned.body === "string" ? canned.body : JSON.stringify(canned.body ?? {}));
      return;
    }
    const upstream = httpRequest(new URL(path, serverUrl), {
      method,
      headers: { ...headers, host: new URL(serverUrl).host },
    });
    upstream.on("error", () => outgoing.destroy());
    upstream.on("response", (response) => {
      outgoing.writeHead(response.statusCode!, response.headers);
      response.pipe(outgoing);
    });
    upstream.end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return Object.assign(proxy, {
    port,
    endpoint: `elasticsearch+http${tls ? "s" : ""}://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      proxy.cut();
      server.close();
      await once(server, "close");
    },
  });
}
