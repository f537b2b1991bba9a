/** The protocols that a test can ask a server for. */
export type ServiceKind = "redis" | "mongodb" | "elasticsearch" | "postgresql";

/** Every kind, in the order in which they are reported. */
export const serviceKinds: readonly ServiceKind[] = ["redis", "mongodb", "elasticsearch", "postgresql"];

/** A running server that a test may use. */
export interface TestService {
  readonly kind: ServiceKind;
  /** Where to connect to, credentials included: never print it, print `redactUrl(url)`. */
  readonly url: string;
  /** Where it came from: a URL in the environment, a Docker container, or a process of ours. */
  readonly how: "environment" | "testcontainers" | "native";
  /** What answers: `"Redis"`, `"MongoDB"`, `"FerretDB"`, `"Elasticsearch"`, `"PostgreSQL"`, or what a URL from the environment led to. */
  readonly product: string;
  /** The product's own version, such as `"7.0.15"`. */
  readonly version: string;
  /** The server's process, where it is ours. It changes with a restart. */
  readonly pid?: number | undefined;
  /** Ends the server and removes its data. A server from the environment is left alone. Calling it again does nothing. */
  stop(): Promise<void>;
  /**
   * Kills the server without warning and starts it again on the same port with the same data. Absent for a server from
   * the environment. Redis keeps its data only when started with `persistent`.
   *
   * @param whileDown runs when the server is gone and before it is started again
   */
  restart?(whileDown?: () => Promise<void>): Promise<void>;
}

/** A server that could not be had, and why, in one sentence. */
export interface UnavailableService {
  readonly kind: ServiceKind;
  readonly unavailable: string;
}

/** Tells a running server from one that could not be had. */
export function isAvailable(outcome: TestService | UnavailableService): outcome is TestService {
  return !("unavailable" in outcome);
}

/** Options that every kind takes. */
export interface ServiceOptions {
  /** Receives the lines about what is used and what is being built. @default console.info */
  readonly log?: ((line: string) => void) | undefined;
  /**
   * Starts a server for the caller alone, never one from the environment, which other tests use at the same time. For
   * tests that restart it, fill it up, or look at all its data. @default false
   */
  readonly exclusive?: boolean | undefined;
}

/** Options for Redis. Any of them implies `exclusive`. */
export interface RedisServiceOptions extends ServiceOptions {
  /** Password of the default user. */
  readonly password?: string | undefined;
  /** Keeps an append-only file, so that data outlives `restart()`. @default false */
  readonly persistent?: boolean | undefined;
  /** More arguments for the server, such as `["--maxmemory", "8mb"]`. */
  readonly args?: readonly string[] | undefined;
}

/** Options for MongoDB. Any of them implies `exclusive`. */
export interface MongodbServiceOptions extends ServiceOptions {
  /**
   * A server in memory that has change streams, or refuses them as a server without a replica set does: mongo-java-server with
   * its faults corrected, in place of FerretDB, which has none.
   */
  readonly changeStreams?: "replica-set" | "standalone" | undefined;
}

/** The releases of Elasticsearch that can be had. */
export type ElasticsearchRelease = "8" | "9";

/** What can be had that speaks Elasticsearch's API: a release of it, or OpenSearch. */
type ElasticsearchServer = ElasticsearchRelease | "opensearch";

/** Options for Elasticsearch. Any of them implies `exclusive`. */
export interface ElasticsearchServiceOptions extends ServiceOptions {
  /** Which release, or the other product that speaks the same API. @default "8" */
  readonly release?: ElasticsearchServer | undefined;
  /** Size of the Java heap. @default "1g" */
  readonly heap?: string | undefined;
  /** More node settings, such as `{ "http.max_content_length": "1mb" }`. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

/** Options for PostgreSQL. Any of them implies `exclusive`. */
export interface PostgresqlServiceOptions extends ServiceOptions {
  /** Waits for the disk at each commit, as a server that holds data does; for measuring. Restarts do not need it. @default false */
  readonly durable?: boolean | undefined;
  /** More settings of the server, such as `{ max_connections: "10" }`. They win over those that every server gets. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

/** Which options belong to which kind. */
export interface OptionsByKind {
  redis: RedisServiceOptions;
  mongodb: MongodbServiceOptions;
  elasticsearch: ElasticsearchServiceOptions;
  postgresql: PostgresqlServiceOptions;
}

/** Thrown when a server cannot be had. Its message is a sentence that says why. */
export class ServiceUnavailableError extends Error {
  override readonly name = "ServiceUnavailableError";
  readonly kind: ServiceKind;

  constructor(kind: ServiceKind, reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.kind = kind;
  }
}
