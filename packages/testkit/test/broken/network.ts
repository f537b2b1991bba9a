import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import {
  type EndpointInfo,
  type OpenContext,
  type OptionSpecs,
  type P2PDataTransferService,
  P2PError,
  parseOptions,
} from "@omni/p2p-core/starter";
import { type AdapterUnderTest, referenceAdapter } from "../../src/index.ts";
import type { Replaced } from "./sabotage.ts";

/** How an adapter for a server comes by its connection. */
export type Dial = (endpoint: EndpointInfo, context: OpenContext) => Promise<Socket>;

const GREETING = "ready\n";

const options = {
  username: { type: "string", description: "Who comes." },
  password: { type: "string", description: "The word that lets them in." },
} as const satisfies OptionSpecs;

/** Changes a service that can ask its server something: one round trip each time. */
export type Conversing = (ask: () => Promise<void>) => (service: P2PDataTransferService) => Replaced;

/** The reference adapter, reached through a server that greets whoever comes and answers whatever is asked. */
export function networkAdapter(dial: Dial = careful, conversing: Conversing = () => () => ({})): AdapterUnderTest {
  const good = referenceAdapter();
  return {
    async createEndpoint() {
      const server = createServer((socket) => {
        socket.on("error", () => {}).on("data", (asked) => void socket.write(asked));
        socket.write(GREETING);
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const { endpoint, dispose, breakRecord } = await good.createEndpoint();
      const { port } = server.address() as { port: number };
      return {
        endpoint: { ...(endpoint as EndpointInfo), host: "127.0.0.1", port },
        async dispose() {
          server.close();
          await dispose?.();
        },
        ...(dispose && { remove: dispose }),
        ...(breakRecord && { breakRecord }),
      };
    },
    starter: {
      ...good.starter,
      options,
      async open(endpoint, context) {
        parseOptions(options, endpoint);
        const socket = await dial(endpoint, context);
        const { metadata: _, ...place } = endpoint;
        const service = await good.starter.open(place, context).catch((error: unknown) => {
          socket.destroy();
          throw error;
        });
        const ask = async (): Promise<void> => {
          socket.write("?");
          await once(socket, "data");
        };
        return {
          ...service,
          ...conversing(ask)(service),
          async close() {
            socket.destroy();
            await service.close();
          },
        };
      },
    },
  };
}

/** Dials as an adapter should: with a timeout, heeding the signal, and leaving nothing behind. */
export const careful: Dial = async (endpoint, { signal, connectTimeoutMs }) => {
  const socket = connect({ host: endpoint.host!, port: endpoint.port! });
  const place = `${endpoint.host}:${endpoint.port}`;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(connectTimeoutMs)]);
  try {
    await once(socket, "data", { signal: limit });
    return socket.on("error", () => {});
  } catch (cause) {
    socket.destroy();
    signal.throwIfAborted();
    if (limit.aborted) throw new P2PError("TIMEOUT", `${place} did not answer in ${connectTimeoutMs} ms`, { cause });
    throw new P2PError("CONNECTION_FAILED", `${place} could not be reached; is the server running?`, { cause });
  }
};

/** Waits for ever. */
export const patient: Dial = (endpoint, context) => careful(endpoint, { ...context, connectTimeoutMs: 1_000_000 });

/** Does not look at the signal. */
export const deaf: Dial = (endpoint, context) =>
  careful(endpoint, { ...context, signal: new AbortController().signal });

/** Leaves the socket open when the greeting does not come. */
export const careless: Dial = async (endpoint, context) => {
  const socket = connect({ host: endpoint.host!, port: endpoint.port! }).on("error", () => {});
  const other = await careful(endpoint, context);
  other.destroy();
  return socket;
};

/** Passes on what the client library said, and more. */
export const talkative: Dial = async (endpoint, context) => {
  try {
    return await careful(endpoint, context);
  } catch {
    throw new Error(`cannot reach ${JSON.stringify(endpoint)}`);
  }
};
