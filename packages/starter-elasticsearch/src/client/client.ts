import { readFile } from "node:fs/promises";
import type { Client, ClientOptions, SniffingTransport } from "@elastic/elasticsearch";
import { P2PError } from "@omni/p2p-core/starter";
import type { ElasticsearchEndpoint, ElasticsearchOptions } from "../endpoint.ts";
import { authorityOf } from "./authority.ts";

/** The module of the client, or one that can stand in for it. */
export interface ClientModule {
  readonly Client: new (options: ClientOptions) => Client;
  readonly SniffingTransport: typeof SniffingTransport;
}

/** Loads the application's own client, version 8 or 9, when the first endpoint is opened. */
export async function loadClientModule(): Promise<ClientModule> {
  return import("@elastic/elasticsearch");
}

/**
 * A client for the endpoint. It makes one attempt at each request: what is tried again, and when, is the transfer's
 * business. Only with several nodes it tries the others.
 */
export async function createClient(
  endpoint: ElasticsearchEndpoint,
  connectTimeoutMs: number,
  module: ClientModule,
  signal: AbortSignal,
): Promise<Client> {
  const { options, nodes, label } = endpoint;
  const authentication = authenticationOf(options);
  const tls = await tlsOf(endpoint, signal);
  const compression = options.compression;
  try {
    return new module.Client({
      Transport: withoutProductCheck(module),
      ...(options.cloudId === undefined ? { nodes: [...nodes] } : { cloud: { id: options.cloudId } }),
      ...(authentication === undefined ? {} : { auth: authentication }),
      ...(tls === undefined ? {} : { tls }),
      ...(options.caFingerprint === undefined ? {} : { caFingerprint: options.caFingerprint }),
      ...(compression === undefined ? {} : { compression }),
      maxRetries: Math.max(0, nodes.length - 1),
      // Waiting is bounded for each request by the link. The client's own timer would abort the caller's signal.
      requestTimeout: 2 ** 31 - 1,
      agent: { connectTimeout: connectTimeoutMs, headersTimeout: 0, bodyTimeout: 0 } as NonNullable<
        ClientOptions["agent"]
      >,
    });
  } catch (error) {
    // The client's message about a bad cloud id may quote it, and it is as good as an address: nothing of it is kept.
    const name = error instanceof Error ? error.name : "Error";
    throw new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${label}: the client did not take its options (${name})`);
  }
}

/** The client accepts no server but its own; here it is the link that looks at what answers. */
function withoutProductCheck({ SniffingTransport }: ClientModule): typeof SniffingTransport {
  return class extends SniffingTransport {
    constructor(options: ConstructorParameters<typeof SniffingTransport>[0]) {
      const { productCheck: _, ...others } = options;
      super(others);
    }
  };
}

function authenticationOf({ apiKey, bearer, username, password }: ElasticsearchOptions): ClientOptions["auth"] {
  if (apiKey !== undefined) return { apiKey };
  if (bearer !== undefined) return { bearer };
  if (username !== undefined && password !== undefined) return { username, password };
  return undefined;
}

async function tlsOf(
  { options, nodes, label }: ElasticsearchEndpoint,
  signal: AbortSignal,
): Promise<ClientOptions["tls"] | undefined> {
  const { caFile, certFile, keyFile, keyPassphrase, rejectUnauthorized, protocol, cloudId, caFingerprint } = options;
  if (protocol !== "https" && cloudId === undefined) return undefined;
  const read = async (name: string, file: string | undefined): Promise<string | undefined> => {
    if (file === undefined) return undefined;
    return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
      throw new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${label}: ${name} cannot be read (${error.code})`);
    });
  };
  const [ca, cert, key] = [
    caFile === undefined && caFingerprint !== undefined && rejectUnauthorized
      ? await authorityOf(nodes, caFingerprint, label, signal)
      : await read("caFile", caFile),
    await read("certFile", certFile),
    await read("keyFile", keyFile),
  ];
  return {
    rejectUnauthorized,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(keyPassphrase === undefined ? {} : { passphrase: keyPassphrase }),
  };
}
