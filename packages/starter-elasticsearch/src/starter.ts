import {
  CONTRACT_VERSION,
  type EndpointInfo,
  type OpenContext,
  type P2PDataTransferService,
  P2PError,
  type P2PStarter,
  type WriteResult,
  withDeadline,
} from "@omni/p2p-core/starter";
import { type ClientModule, createClient, loadClientModule } from "./client/client.ts";
import { elasticsearchLeases } from "./client/leases.ts";
import { Link } from "./client/link.ts";
import { type ElasticsearchEndpoint, elasticsearchOptions, indexOf, parseElasticsearchEndpoint } from "./endpoint.ts";
import { elasticsearchCollections } from "./inspecting/collections.ts";
import { identityOf } from "./inspecting/identity.ts";
import { describeMapping, inspectCluster } from "./inspecting/inspect.ts";
import { loadSchema } from "./mapping/load-schema.ts";
import { partitionQuery } from "./query/partition.ts";
import { openQuery, requireSchemas, type SourceIndex } from "./query/source-index.ts";
import { readBatches } from "./read.ts";
import { countRecords } from "./reading/count.ts";
import { lookUpRecords } from "./reading/look-up.ts";
import { readRaw } from "./reading/raw-read.ts";
import { elasticsearchCapabilities } from "./types.ts";
import { keyOf, RAW_FORMAT, type RawDocument, recordOf } from "./values/raw-document.ts";
import { writeRecords } from "./write.ts";
import type { WriteTarget } from "./writing/bulk-run.ts";
import { deleteRecords } from "./writing/delete.ts";
import { writeRaw } from "./writing/raw-write.ts";
import { TargetIndex } from "./writing/target-index.ts";

/** Opens `elasticsearch://host:port/index` endpoints. */
export const elasticsearchStarter: P2PStarter = starterWith(loadClientModule);

/** A starter that uses a certain client. Applications have one installed, and need nothing but {@link elasticsearchStarter}. */
export function starterWith(loadModule: () => Promise<ClientModule>): P2PStarter {
  return {
    storageType: "elasticsearch",
    contractVersion: CONTRACT_VERSION,
    threads: true,
    options: elasticsearchOptions,
    capabilities: elasticsearchCapabilities,
    async open(info, context) {
      const endpoint = parseElasticsearchEndpoint(info);
      const index = indexOf(endpoint, context.role);
      return connected(endpoint, context, loadModule, (link, signal) =>
        openIndex(link, endpoint, index, context.role, signal),
      );
    },
    async inspect(info, context) {
      return visit(info, context, loadModule, (link, signal, endpoint) => inspectCluster(link, endpoint.index, signal));
    },
    collections: elasticsearchCollections((info, context, look) => visit(info, context, loadModule, look)),
    async describeMapping(info, sample, context) {
      return visit(info, context, loadModule, async (link, signal, endpoint) => {
        const schema =
          endpoint.index === undefined ? undefined : await loadSchema(link, endpoint.index, "open", signal);
        return describeMapping(sample, schema, link.dialect);
      });
    },
  };
}

/** Connects, does something with the link, and leaves nothing open when that fails or takes too long. */
async function connected<T>(
  endpoint: ElasticsearchEndpoint,
  { signal, connectTimeoutMs }: OpenContext,
  loadModule: () => Promise<ClientModule>,
  work: (link: Link, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = () => lateError(endpoint.label, connectTimeoutMs);
  return withDeadline(connectTimeoutMs, signal, late, async (either) => {
    const client = await createClient(endpoint, connectTimeoutMs, await loadModule(), either);
    const link = new Link(endpoint.label, client, endpoint.options.requestTimeoutMs);
    try {
      const done = await work(link, either);
      // Nobody waits any more for what comes too late, and it would stay open.
      either.throwIfAborted();
      return done;
    } catch (error) {
      await link.close();
      throw error;
    }
  });
}

function lateError(label: string, connectTimeoutMs: number): P2PError {
  const what = `${label} did not answer within ${connectTimeoutMs} ms`;
  return new P2PError("TIMEOUT", `${what}; check host and port`, { retryable: true });
}

async function visit<T>(
  info: EndpointInfo,
  context: OpenContext,
  loadModule: () => Promise<ClientModule>,
  look: (link: Link, signal: AbortSignal, endpoint: ElasticsearchEndpoint) => Promise<T>,
): Promise<T> {
  const endpoint = parseElasticsearchEndpoint(info);
  return connected(endpoint, context, loadModule, async (link, signal) => {
    const seen = await look(link, signal, endpoint);
    await link.close();
    return seen;
  });
}

async function openIndex(
  link: Link,
  { options }: ElasticsearchEndpoint,
  index: string,
  role: OpenContext["role"],
  signal: AbortSignal,
): Promise<P2PDataTransferService> {
  const source: SourceIndex = { link, index, keepAliveMs: options.pitKeepAliveMs };
  let requestBytes = DEFAULT_REQUEST_BYTES;
  if (role === "source") await requireSchemas(source, "open", signal);
  else {
    await loadSchema(link, index, "open", signal);
    requestBytes = await largestRequest(link, signal);
  }
  const { shards, replicas, pipeline, refresh } = options;
  const target: WriteTarget = {
    link,
    index,
    query: {
      // The server gives up waiting for a shard before we do, and says which one it was.
      timeout: `${Math.ceil(options.requestTimeoutMs * 0.8)}ms`,
      ...(pipeline === undefined ? {} : { pipeline }),
      ...(refresh === "wait_for" || refresh === "true" ? { refresh } : {}),
    },
    fields: new TargetIndex(link, index, { shards, ...(replicas === undefined ? {} : { replicas }) }),
    // The limit is one of the request as a whole, and a little of it is left for what is not documents.
    bulkBytes: Math.min(options.maxBulkBytes, Math.floor(requestBytes * 0.95)),
    requestBytes,
  };
  return serviceOf(source, target, refresh === "close");
}

function serviceOf(source: SourceIndex, target: WriteTarget, refreshAtEnd: boolean): P2PDataTransferService {
  const { link, index } = source;
  let wrote = false;
  let closed: Promise<void> | undefined;
  const noted = async (writing: Promise<WriteResult>): Promise<WriteResult> => {
    const result = await writing;
    wrote ||= result.written > 0;
    return result;
  };
  const close = async (): Promise<void> => {
    if (wrote && refreshAtEnd) {
      await link.tidy({ method: "POST", path: `/${encodeURIComponent(index)}/_refresh`, accept: [403, 404] });
    }
    await link.close();
  };
  return {
    capabilities: elasticsearchCapabilities,
    readFromSource: (query, options) => readBatches(source, query, options),
    writeToTarget: (records, options) => noted(writeRecords(target, records, options)),
    rawSource: {
      format: RAW_FORMAT,
      read: (query, options) => readRaw(source, query, options),
      decode: (document) => recordOf(document as RawDocument),
      idText: (document) => keyOf(document as RawDocument),
    },
    rawTarget: {
      accepts: (format) => format === RAW_FORMAT,
      write: (documents, options) => noted(writeRaw(target, documents as readonly RawDocument[], options)),
    },
    count: (query, signal) => countRecords(source, query, signal),
    async partitions(query, parts, signal) {
      return partitionQuery(await openQuery(source, query, signal), query, parts, signal);
    },
    lookUp: (refs, query, options) => lookUpRecords(source, refs, query, options),
    deleteFromTarget(refs, options) {
      // Some may be gone when the call as a whole fails.
      wrote = true;
      return deleteRecords({ ...target, ...source }, refs, options);
    },
    identity: (signal) => identityOf(link, index, signal),
    leases: elasticsearchLeases(link, index),
    async ping(signal) {
      // One who may only use certain indices is refused here, and that is a sign of life too.
      await link.request({ method: "HEAD", path: "/", accept: [403] }, "read", signal);
    },
    close() {
      closed ??= close();
      return closed;
    },
  };
}

/** `http.max_content_length` where the server does not tell it. */
const DEFAULT_REQUEST_BYTES = 100 * 2 ** 20;

interface NodesAnswer {
  readonly nodes?: Readonly<Record<string, { readonly http?: { readonly max_content_length_in_bytes?: number } }>>;
}

/** The largest request that every node of the cluster takes, in bytes. */
async function largestRequest(link: Link, signal: AbortSignal): Promise<number> {
  const query = { filter_path: "nodes.*.http.max_content_length_in_bytes" };
  const refused = [400, 403, 404, 405, 410];
  const answer = await link.request({ method: "GET", path: "/_nodes/http", query, accept: refused }, "open", signal);
  if (answer.status >= 400) return DEFAULT_REQUEST_BYTES;
  const { nodes = {} } = link.parse<NodesAnswer>(answer.text, "open");
  const limits = Object.values(nodes).map(({ http }) => http?.max_content_length_in_bytes ?? DEFAULT_REQUEST_BYTES);
  return Math.min(DEFAULT_REQUEST_BYTES * 20, ...(limits.length > 0 ? limits : [DEFAULT_REQUEST_BYTES]));
}
