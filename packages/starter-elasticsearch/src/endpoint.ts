import {
  type EndpointInfo,
  endpointLabel,
  hostText,
  type OptionSpecs,
  type OptionsOf,
  P2PError,
  parseHosts,
  parseOptions,
} from "@omni/p2p-core/starter";

/** The options of an Elasticsearch endpoint, as `metadata` or in the query of its URL. */
export const elasticsearchOptions = {
  protocol: {
    type: "string",
    values: ["http", "https"],
    default: "http",
    description:
      "How nodes are spoken to. In a URL: elasticsearch+https://host:9200/index. A cloud id is always https.",
  },
  hosts: {
    type: "string",
    description:
      "Several nodes as host:port, with commas between them. In a URL they are written in place of the host.",
  },
  username: { type: "string", description: "User of basic authentication." },
  password: { type: "string", description: "Password of basic authentication." },
  apiKey: { type: "string", description: "API key in its encoded form, sent in place of user and password." },
  bearer: { type: "string", description: "Token that is sent as a bearer token, for instance of a service account." },
  cloudId: { type: "string", description: "Cloud id of an Elastic Cloud deployment, in place of a host." },
  caFile: {
    type: "string",
    description: "File with the certificate of the authority that signed the server's, in PEM.",
  },
  caFingerprint: {
    type: "string",
    description: "SHA-256 fingerprint of that authority's certificate, as a server prints it at its first start.",
  },
  certFile: { type: "string", description: "File with the client's certificate, in PEM." },
  keyFile: { type: "string", description: "File with the client's private key, in PEM." },
  keyPassphrase: { type: "string", description: "Passphrase of the private key." },
  rejectUnauthorized: {
    type: "boolean",
    default: true,
    description: "Whether a server whose certificate cannot be verified is refused.",
  },
  compression: { type: "boolean", description: "Whether bodies are gzipped. Default: only with a cloud id." },
  requestTimeoutMs: {
    type: "number",
    min: 1,
    default: 60_000,
    description: "Longest time that one request may take, in milliseconds.",
  },
  refresh: {
    type: "string",
    values: ["close", "wait_for", "true", "false"],
    default: "close",
    description:
      "When written records become visible to searches: after the index's own interval of a second and at once on " +
      'closing ("close"), before each write resolves ("wait_for", "true"), or by the interval alone ("false").',
  },
  maxBulkBytes: {
    type: "number",
    min: 1024,
    default: 8_388_608,
    description: "Size at which a batch is cut into several bulk requests, in bytes.",
  },
  pipeline: { type: "string", description: "Ingest pipeline that written documents go through." },
  shards: {
    type: "number",
    min: 1,
    max: 1024,
    default: 1,
    description: "Primary shards of an index that has to be created.",
  },
  replicas: {
    type: "number",
    min: 0,
    description: "Replicas of an index that has to be created. Default: the server's own, which is 1.",
  },
  pitKeepAliveMs: {
    type: "number",
    min: 1000,
    default: 300_000,
    description: "How long the server keeps a reader's point in time between two pages, in milliseconds.",
  },
} as const satisfies OptionSpecs;

/** Options that were checked. */
export type ElasticsearchOptions = OptionsOf<typeof elasticsearchOptions>;

/** An endpoint that was checked. */
export interface ElasticsearchEndpoint {
  /** Its name in messages, without secrets. */
  readonly label: string;
  readonly options: ElasticsearchOptions;
  /** URLs of the nodes, without secrets; empty with a cloud id. */
  readonly nodes: readonly string[];
  /** The index, alias or data stream, if one is named. */
  readonly index: string | undefined;
}

/**
 * Checks an endpoint and its options.
 *
 * @throws P2PError `INVALID_ENDPOINT`
 */
export function parseElasticsearchEndpoint(endpoint: EndpointInfo): ElasticsearchEndpoint {
  const options = parseOptions(elasticsearchOptions, endpoint);
  const label = endpointLabel(endpoint);
  const fail = (what: string): never => {
    throw new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${label}: ${what}`);
  };
  const ways = [options.apiKey, options.bearer, options.username].filter((way) => way !== undefined);
  if (ways.length > 1) fail("give one of apiKey, bearer and username with password, not several");
  if ((options.username === undefined) !== (options.password === undefined)) {
    fail("username and password go together; give both or neither");
  }
  if ((options.certFile === undefined) !== (options.keyFile === undefined)) {
    fail("certFile and keyFile go together; give both or neither");
  }
  const places = [options.cloudId, endpoint.host ?? options.hosts].filter((place) => place !== undefined);
  if (places.length > 1) fail("give a host or a cloudId, not both");
  if (options.cloudId !== undefined) return { label, options, nodes: [], index: endpoint.database };
  const { host = "localhost", port = DEFAULT_PORT } = endpoint;
  const hosts = options.hosts === undefined ? [{ host, port }] : parseHosts(options.hosts, DEFAULT_PORT);
  const nodes = hosts?.map((node) => URL.parse(`${options.protocol}://${hostText(node)}`)?.origin);
  if (!nodes?.every((node) => node !== undefined)) {
    return fail(`hosts must be like h1:9200,h2:9200, not "${options.hosts ?? host}"`);
  }
  if (options.caFingerprint !== undefined && options.protocol !== "https") {
    fail("caFingerprint needs https; write elasticsearch+https://");
  }
  return { label, options, nodes, index: endpoint.database };
}

/** Without a port a URL would mean 80 or 443, which is hardly ever where Elasticsearch is. */
const DEFAULT_PORT = 9200;

/**
 * The index that is named by the endpoint.
 *
 * @throws P2PError `INVALID_ENDPOINT` when none is named, or no index can have that name.
 */
export function indexOf({ index, label }: ElasticsearchEndpoint, role: "source" | "target"): string {
  const trouble = index === undefined ? "it names no index" : indexNameTrouble(index, role);
  if (trouble === undefined) return index!;
  throw new P2PError(
    "INVALID_ENDPOINT",
    `Invalid endpoint ${label}: ${trouble}; write the index as the path, elasticsearch://localhost:9200/knowledge`,
  );
}

function indexNameTrouble(index: string, role: "source" | "target"): string | undefined {
  // Reading may go over a pattern or a list; writing needs one name.
  const forbidden = role === "source" ? /[\\/?"<>| #]/ : /[\\/*?"<>| ,#:]/;
  const character = forbidden.exec(index)?.[0];
  if (character !== undefined) return `an index name cannot contain ${JSON.stringify(character)}`;
  if (index !== index.toLowerCase()) return "an index name has no capital letters";
  if (/^[-_+]/.test(index) || index === "." || index === "..") return `no index can be called "${index}"`;
  if (Buffer.byteLength(index) > 255) return "an index name has 255 bytes at most";
  return undefined;
}
