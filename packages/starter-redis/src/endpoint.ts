import {
  type EndpointInfo,
  endpointLabel,
  type HostPort,
  type OptionSpecs,
  type OptionsOf,
  P2PError,
  parseHosts,
  parseOptions,
} from "@omni/p2p-core/starter";
import type { ClusterOptions, RedisOptions } from "ioredis";

/** The options of a Redis endpoint. */
export const redisOptions = {
  prefix: {
    type: "string",
    default: "",
    description: "Text before the id in the names of keys; reading sees only keys that start with it",
  },
  format: {
    type: "string",
    values: ["json", "hash", "dump"],
    default: "json",
    description: "How records are written: JSON text, a hash, or the dump of a key for exact copies between servers",
  },
  ttl: { type: "number", min: 1, description: "Seconds after which a written record expires. Default: never" },
  ttlField: {
    type: "string",
    description:
      "Field for the time of expiry: a Date when read; when written a Date, or a number of seconds from now. With format=dump it is `expires` by default",
  },
  username: { type: "string", description: "ACL user" },
  password: { type: "string", description: "Password of the user, or of the server" },
  protocol: { type: "string", values: ["tcp", "tls"], default: "tcp", description: "`tls` is what `rediss:` sets" },
  tlsCaFile: { type: "string", description: "File with the certificates to trust, as PEM" },
  tls: { type: "object", description: "Options of Node's `tls.connect`; turns TLS on" },
  cluster: { type: "boolean", default: false, description: "The server, or the hosts, belong to a Redis Cluster" },
  sentinel: { type: "string", description: "Name of the primary that the hosts, which are Sentinels, watch" },
  sentinelUsername: { type: "string", description: "ACL user of the Sentinels" },
  sentinelPassword: { type: "string", description: "Password of the Sentinels" },
  hosts: { type: "string", description: "Several hosts, `h1:6379,h2:6379`, as a URL with several gives them" },
  marker: {
    type: "string",
    description:
      "Whole name of a key that may be set to a random text: while it is there, the data was not flushed. It is no record",
  },
  scanCount: {
    type: "number",
    min: 1,
    max: 1_000_000,
    default: 1000,
    description: "COUNT of a SCAN: keys that the server looks at in one step",
  },
  maxSortedKeys: {
    type: "number",
    min: 1,
    default: 50_000,
    description: "Names of keys held at most, to read in their order; more keys are read in the order of SCAN",
  },
  maxElements: {
    type: "number",
    min: 1,
    default: 100_000,
    description: "Elements of a list, set, hash, sorted set or stream; a larger one is a failure, not a record",
  },
  evictions: {
    type: "string",
    values: ["refuse", "delete"],
    default: "refuse",
    description:
      "What a follow makes of keys that the server evicts: it does not begin where there may be any, or they leave the target",
  },
  redis: { type: "object", description: "Options of ioredis itself: `RedisOptions`, with `cluster` `ClusterOptions`" },
} as const satisfies OptionSpecs;

/** An endpoint that has been checked. */
export interface RedisEndpoint extends OptionsOf<typeof redisOptions> {
  readonly hosts: string;
  readonly servers: readonly HostPort[];
  readonly db: number;
  readonly secure: boolean;
  /** What the user gave for ioredis. */
  readonly ioredis: RedisOptions & ClusterOptions;
}

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

/** Options of ioredis without which this starter does not work. */
const RESERVED = ["keyPrefix", "enableAutoPipelining", "replyMapping", "stringNumbers", "lazyConnect", "db"] as const;

/** @throws P2PError `INVALID_ENDPOINT` */
export function parseRedisEndpoint(endpoint: EndpointInfo): RedisEndpoint {
  const options = parseOptions(redisOptions, endpoint);
  const invalid = (what: string) =>
    new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${endpointLabel(endpoint)}: ${what}`);
  const { database = "0" } = endpoint;
  if (!/^\d{1,5}$/.test(database)) throw invalid(`the database must be a number such as 0, not "${database}"`);
  const fallback = options.sentinel === undefined ? REDIS_PORT : SENTINEL_PORT;
  const servers =
    options.hosts === undefined
      ? [{ host: endpoint.host ?? "localhost", port: endpoint.port ?? fallback }]
      : parseHosts(options.hosts, fallback);
  if (servers === undefined) throw invalid("hosts must be like h1:6379,h2:6379");
  if (options.cluster && options.sentinel !== undefined) throw invalid("it is either cluster or sentinel, not both");
  if (servers.length > 1 && !options.cluster && options.sentinel === undefined) {
    throw invalid("several hosts need cluster=true, or sentinel=<name of the primary>");
  }
  if (options.cluster && Number(database) !== 0) throw invalid("a Redis Cluster has database 0 only");
  if (options.marker === "") throw invalid("marker must be the name of a key");
  if (options.ttlField === "" || options.ttlField === "id") throw invalid('ttlField cannot be "id" or empty');
  if (options.format === "dump" && options.ttlField === "dump") throw invalid('ttlField cannot be "dump" here');
  const ioredis: RedisOptions & ClusterOptions = options.redis ?? {};
  for (const name of RESERVED) {
    if (ioredis[name as keyof typeof ioredis] === undefined) continue;
    throw invalid(`the option "${name}" of ioredis cannot be given${name === "keyPrefix" ? "; use prefix" : ""}`);
  }
  return {
    ...options,
    hosts: options.hosts ?? "",
    ...(options.format === "dump" && { ttlField: options.ttlField ?? "expires" }),
    servers,
    db: Number(database),
    secure: options.protocol === "tls" || options.tls !== undefined || options.tlsCaFile !== undefined,
    ioredis,
  };
}
