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
import type { MongoClientOptions } from "mongodb";

/** Where a database is when the endpoint names none: MongoDB's own default. */
const DEFAULT_DATABASE = "test";
const DEFAULT_PORT = 27_017;
/** Where a target writes when the endpoint names no collection. */
const DEFAULT_TARGET_COLLECTION = "records";

const text = (description: string) => ({ type: "string", description }) as const;
const flag = (description: string) => ({ type: "boolean", description }) as const;
const amount = (description: string, min = 0) => ({ type: "number", description, min }) as const;

/**
 * The options of a `mongodb:` endpoint: our own, and those of MongoDB's connection string, which go to the driver as
 * they are.
 */
export const mongodbOptions = {
  collection: text(
    `The collection. Default of a source: the only one of the database; of a target: "${DEFAULT_TARGET_COLLECTION}"`,
  ),
  username: text("User name; from the URL's userinfo"),
  password: text("Password; from the URL's userinfo"),
  hosts: text("Several hosts, as host:port,host:port; from the URL"),
  protocol: { type: "string", values: ["srv"], description: '"srv" finds the hosts by DNS; from mongodb+srv:' },
  replicaSet: text("Name of the replica set"),
  directConnection: flag("Talk to this host alone, whatever replica set it is in"),
  loadBalanced: flag("The host is a load balancer"),
  srvServiceName: text('Service name of the DNS record. The driver\'s default is "mongodb"'),
  srvMaxHosts: amount("Most hosts taken from the DNS record; 0 takes all"),
  authSource: text("Database that knows the user. Default: the endpoint's database, else admin"),
  authMechanism: text("Such as SCRAM-SHA-256, MONGODB-X509, MONGODB-AWS, PLAIN. Default: settled with the server"),
  authMechanismProperties: text("Properties of the mechanism, as NAME:value,NAME:value"),
  tls: flag("Encrypt the connection. The driver's default is off, and on with mongodb+srv"),
  ssl: flag("The older name of tls"),
  tlsCAFile: text("File with the certificate authorities to trust (PEM)"),
  tlsCRLFile: text("File with revoked certificates (PEM)"),
  tlsCertificateKeyFile: text("File with the client's certificate and key (PEM)"),
  tlsCertificateKeyFilePassword: text("Password of that key"),
  tlsAllowInvalidCertificates: flag("Take any certificate; for tests alone"),
  tlsAllowInvalidHostnames: flag("Take a certificate of another host; for tests alone"),
  tlsInsecure: flag("Both of these; for tests alone"),
  readPreference: {
    type: "string",
    values: ["primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest"],
    description: "Which members of a replica set are read. The driver's default is primary",
  },
  readPreferenceTags: text("Tags of the members to read, as name:value,name:value"),
  maxStalenessSeconds: amount("How far behind a secondary that is read may be", -1),
  readConcernLevel: {
    type: "string",
    values: ["local", "available", "majority", "linearizable", "snapshot"],
    description: "How well confirmed what is read must be. Default: the server's",
  },
  w: text('Write concern: how many members confirm a write, or "majority". Default: the server\'s'),
  journal: flag("Write concern: a write is confirmed when it is in the journal"),
  wtimeoutMS: amount("Write concern: how long to wait for the members, in ms"),
  retryWrites: flag("The driver itself repeats a write once after a network error. The driver's default is on"),
  retryReads: flag("The driver itself repeats a read once after a network error. The driver's default is on"),
  compressors: text("Compression to offer the server: zstd, snappy or zlib, in order of preference"),
  zlibCompressionLevel: amount("Level of zlib, 0 to 9; -1 leaves it to zlib", -1),
  maxPoolSize: amount("Most sockets to a host; 0 sets no limit. The driver's default is 100"),
  minPoolSize: amount("Sockets kept open to a host"),
  maxConnecting: amount("Most sockets being opened at once", 1),
  maxIdleTimeMS: amount("A socket unused for so long, in ms, is closed"),
  waitQueueTimeoutMS: amount("How long to wait for a free socket, in ms"),
  connectTimeoutMS: amount("Time to open a socket, in ms. Default: connection_timeout"),
  serverSelectionTimeoutMS: amount(
    "Time to find a server that can do what is asked, in ms. Default: connection_timeout",
  ),
  socketTimeoutMS: amount("A socket silent for so long, in ms, while an answer is due is given up. Default: never"),
  heartbeatFrequencyMS: amount("How often the servers are asked for their state, in ms"),
  localThresholdMS: amount("How much slower than the fastest a server may be and still be used, in ms"),
  serverMonitoringMode: {
    type: "string",
    values: ["auto", "poll", "stream"],
    description: "How the servers are watched",
  },
  appName: { type: "string", default: "omni-p2p", description: "Name by which the server's log knows the connection" },
  proxyHost: text("SOCKS5 proxy: its host"),
  proxyPort: amount("SOCKS5 proxy: its port", 1),
  proxyUsername: text("SOCKS5 proxy: user name"),
  proxyPassword: text("SOCKS5 proxy: password"),
} as const satisfies OptionSpecs;

type MongodbOptions = OptionsOf<typeof mongodbOptions>;

/** Options that do not go into the connection string: our own, and what it would show. */
const NOT_IN_STRING: ReadonlySet<string> = new Set([
  "collection",
  "username",
  "password",
  "hosts",
  "protocol",
  "authSource",
  "connectTimeoutMS",
  "serverSelectionTimeoutMS",
  "tlsCertificateKeyFilePassword",
  "proxyUsername",
  "proxyPassword",
]);

/** Mechanisms whose users are not in a database of the server. */
const EXTERNAL_MECHANISMS: ReadonlySet<string> = new Set([
  "MONGODB-X509",
  "MONGODB-AWS",
  "MONGODB-OIDC",
  "GSSAPI",
  "PLAIN",
]);

/** What an endpoint asks for, in the driver's terms. */
export interface MongodbEndpoint {
  /** Connection string without any secret. */
  readonly uri: string;
  readonly clientOptions: MongoClientOptions;
  readonly database: string;
  readonly collection: string | undefined;
  /** How many hosts the endpoint names; unknown with `srv`. */
  readonly seeds: number | undefined;
  /** The hosts, as `host:port`; none where DNS or a proxy stands between. */
  readonly addresses: readonly string[];
  /** Whether the connection is to be encrypted. */
  readonly secure: boolean;
  readonly replicaSet: string | undefined;
  readonly label: string;
}

/**
 * Checks an endpoint and says how to connect to it.
 *
 * @throws P2PError `INVALID_ENDPOINT`
 */
export function parseMongodbEndpoint(
  endpoint: EndpointInfo,
  connectTimeoutMs: number,
  role: "source" | "target",
): MongodbEndpoint {
  const options = parseOptions(mongodbOptions, endpoint);
  const database = endpoint.database ?? DEFAULT_DATABASE;
  const collection = options.collection ?? (role === "target" ? DEFAULT_TARGET_COLLECTION : undefined);
  checkName(endpoint, "database", database, /^[^/\\. "$\0]{1,63}$/);
  if (collection !== undefined) checkName(endpoint, "collection", collection, /^(?!system\.)[^$\0]{1,255}$/);
  const hosts = options.hosts ?? hostOf(endpoint, options);
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) if (!NOT_IN_STRING.has(name)) query.set(name, String(value));
  return {
    uri: `mongodb${options.protocol === "srv" ? "+srv" : ""}://${hosts}/?${query}`,
    clientOptions: {
      ...credentials(endpoint, options),
      ...(options.proxyUsername === undefined ? {} : { proxyUsername: options.proxyUsername }),
      ...(options.proxyPassword === undefined ? {} : { proxyPassword: options.proxyPassword }),
      ...(options.tlsCertificateKeyFilePassword === undefined
        ? {}
        : { tlsCertificateKeyFilePassword: options.tlsCertificateKeyFilePassword }),
      connectTimeoutMS: options.connectTimeoutMS ?? connectTimeoutMs,
      serverSelectionTimeoutMS: options.serverSelectionTimeoutMS ?? connectTimeoutMs,
      ignoreUndefined: true,
    },
    database,
    collection,
    seeds: options.protocol === "srv" ? undefined : hosts.split(",").length,
    addresses: options.protocol === "srv" || options.proxyHost !== undefined ? [] : addressesOf(endpoint, hosts),
    secure: options.tls ?? options.ssl ?? options.protocol === "srv",
    replicaSet: options.replicaSet,
    label: endpointLabel({ ...endpoint, database }),
  };
}

function addressesOf(endpoint: EndpointInfo, hosts: string): string[] {
  const found = parseHosts(hosts, DEFAULT_PORT);
  if (found === undefined) throw invalid(endpoint, "hosts must be like h1:27017,h2:27017");
  return found.map(hostText);
}

function hostOf(endpoint: EndpointInfo, options: MongodbOptions): string {
  const host = endpoint.host ?? "localhost";
  if (options.protocol === "srv") {
    if (endpoint.port !== undefined) throw invalid(endpoint, "mongodb+srv: takes no port; DNS gives it");
    return host;
  }
  return hostText({ host: host.includes(":") ? host : encodeURIComponent(host), port: endpoint.port ?? DEFAULT_PORT });
}

function credentials(endpoint: EndpointInfo, options: MongodbOptions): MongoClientOptions {
  const { username, password, authSource, authMechanism } = options;
  if (username === undefined) {
    if (password !== undefined) throw invalid(endpoint, "there is a password but no username");
    return authSource === undefined ? {} : { authSource };
  }
  const external = authMechanism !== undefined && EXTERNAL_MECHANISMS.has(authMechanism);
  const source = authSource ?? (external ? undefined : endpoint.database);
  return {
    auth: { username, ...(password === undefined ? {} : { password }) },
    ...(source === undefined ? {} : { authSource: source }),
  };
}

function checkName(endpoint: EndpointInfo, what: string, name: string, allowed: RegExp): void {
  if (!allowed.test(name))
    throw invalid(endpoint, `${JSON.stringify(name)} cannot be the name of a ${what} in MongoDB`);
}

function invalid(endpoint: EndpointInfo, what: string): P2PError {
  return new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${endpointLabel(endpoint)}: ${what}`);
}
