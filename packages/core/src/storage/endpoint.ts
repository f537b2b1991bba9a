/** Endpoints: parses URLs and objects that say where records are. */
import { notPlain } from "../described.ts";
import { P2PError } from "../errors.ts";
import { setField } from "../model/value-tree.ts";
import { shownName } from "../suggest.ts";

/** Where records are: one store, and which part of it. */
export interface EndpointInfo {
  /** A name of your own, for logs and statistics. */
  readonly endpointId: string;
  /** Which starter serves it: `memory`, `sqlite`, `redis`, `mongodb`, `elasticsearch`, `postgresql`, `file`, or a stranger's. */
  readonly storageType: string;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** The file of SQLite, the path of `file`, the database of MongoDB and PostgreSQL, the index of Elasticsearch, the number of Redis, the name of a memory store. */
  readonly database?: string | undefined;
  /** The starter's options, and credentials: see the starter's README. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * An endpoint as people give it: a URL, or {@link EndpointInfo} with `endpointId` optional.
 */
export type EndpointInput =
  | string
  | URL
  | (Omit<EndpointInfo, "endpointId"> & { readonly endpointId?: string | undefined });

const FORMS =
  'give a URL such as "sqlite:./data.db?table=docs" or an object { storageType, host, port, database, metadata }';
const ENDPOINT_KEYS = new Set(["endpointId", "storageType", "host", "port", "database", "metadata"]);

/**
 * Makes an {@link EndpointInfo} of a URL or an object.
 *
 * The URL is `type:path?options` for stores without a host and `type://user:password@host:port/database?options` for
 * the others. `+protocol` after the type, and the customary `rediss:`, go to `metadata.protocol`, and `postgres:` is
 * `postgresql:`; several hosts (`h1:1,h2:2`) go to `metadata.hosts`; user and password go to `metadata.username` and `metadata.password`.
 *
 * @throws P2PError `INVALID_ENDPOINT`. The message never repeats the URL's user or password.
 */
export function parseEndpoint(input: EndpointInput): EndpointInfo {
  if (typeof input === "string") return parseEndpointUrl(input);
  if (input instanceof URL) return parseEndpointUrl(input.href);
  return checkEndpoint(input);
}

function checkEndpoint(input: Exclude<EndpointInput, string | URL>): EndpointInfo {
  const found = notPlain(input);
  if (found !== undefined) throw invalid(`it is ${found}; ${FORMS}`);
  for (const key of Object.keys(input)) {
    if (!ENDPOINT_KEYS.has(key)) {
      throw invalid(
        `unknown key "${shownName(key)}"; an endpoint has ${[...ENDPOINT_KEYS].join(", ")}, and a starter's options go into metadata`,
      );
    }
  }
  const { storageType, host, port, database, metadata } = input;
  if (typeof storageType !== "string" || storageType === "") throw invalid(`storageType is missing; ${FORMS}`);
  if (input.endpointId !== undefined && typeof input.endpointId !== "string")
    throw invalid("endpointId must be a string");
  if (host !== undefined && typeof host !== "string") throw invalid("host must be a string");
  // A host goes into messages as it is, so it must not bring a password along.
  if (host?.includes("@") || host?.includes("//")) {
    throw invalid("host must be a host's name or address alone; user and password go into metadata");
  }
  if (database !== undefined && typeof database !== "string") throw invalid("database must be a string");
  if (port !== undefined) checkPort(port);
  const foundMetadata = metadata === undefined ? undefined : notPlain(metadata);
  if (foundMetadata !== undefined) throw invalid(`metadata must be an object, and this is ${foundMetadata}`);
  const bare = defined({ endpointId: "", storageType, host, port, database, metadata: metadata && { ...metadata } });
  return { ...bare, endpointId: input.endpointId ?? endpointLabel(bare) };
}

const URL_PATTERN = /^([a-z][a-z0-9.-]*?)(?:\+([a-z0-9.+-]+))?:(\/\/)?(.*)$/is;

/** Customary schemes that are no storage type, with the type that they mean. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["rediss", "redis"],
  ["postgres", "postgresql"],
]);

/** Longest URL, in characters. */
const MAX_URL = 65_536;

function parseEndpointUrl(url: string): EndpointInfo {
  if (url.length > MAX_URL) throw invalid(`it has ${url.length} characters; ${MAX_URL} is the most`);
  const match = URL_PATTERN.exec(url.trim());
  if (!match) throw invalid(`it is not a URL; ${FORMS}`);
  const [, scheme, plus, slashes, rest] = match as unknown as [
    string,
    string,
    string | undefined,
    string | undefined,
    string,
  ];
  const lower = scheme.toLowerCase();
  const storageType = ALIASES.get(lower) ?? lower;
  const queryAt = rest.indexOf("?");
  const body = queryAt < 0 ? rest : rest.slice(0, queryAt);
  if (slashes && queryAt >= 0) assertNoPasswordIn(body, rest.slice(queryAt + 1));
  const metadata: Record<string, unknown> = queryAt < 0 ? {} : parseSearch(rest.slice(queryAt + 1));
  if (lower === "rediss") metadata.protocol = "tls";
  else if (plus) metadata.protocol = plus.toLowerCase();
  const endpointId = typeof metadata.endpointId === "string" ? metadata.endpointId : undefined;
  delete metadata.endpointId;
  const place = slashes ? parseAuthority(body, metadata) : { database: decode(body, "path") || undefined };
  return checkEndpoint(
    defined({ storageType, ...place, metadata: Object.keys(metadata).length > 0 ? metadata : undefined, endpointId }),
  );
}

/** A password with a "?" in it would become the port and options, whose names messages show. */
function assertNoPasswordIn(body: string, search: string): void {
  if (body.includes("@") || !search.includes("@")) return;
  const [name = ""] = search.split("=", 1);
  const mayHavePassword = body.includes(":") && !body.includes("/");
  if (name.includes("@") || mayHavePassword) {
    throw invalid('a "?" in a user or password is written "%3F", and an "@" in an option "%40"');
  }
}

function parseSearch(search: string): Record<string, unknown> {
  const metadata: Record<string, unknown> = {};
  for (const [key, value] of new URLSearchParams(search)) {
    if (Object.hasOwn(metadata, key)) throw invalid(`the option "${key}" is given twice`);
    setField(metadata, key, value);
  }
  return metadata;
}

function parseAuthority(body: string, metadata: Record<string, unknown>) {
  const slash = body.indexOf("/");
  const authority = slash < 0 ? body : body.slice(0, slash);
  const path = slash < 0 ? "" : body.slice(slash + 1).replace(/\/$/, "");
  const at = authority.lastIndexOf("@");
  // Else the rest of the password would become the database, which messages show.
  if (at < 0 && path.includes("@")) {
    throw invalid('a "/" in a user or password is written "%2F", and an "@" in a path "%40"');
  }
  if (at >= 0) {
    const user = authority.slice(0, at);
    const colon = user.indexOf(":");
    const username = decode(colon < 0 ? user : user.slice(0, colon), "user");
    if (username) metadata.username = username;
    if (colon >= 0) metadata.password = decode(user.slice(colon + 1), "password");
  }
  const hosts = authority.slice(at + 1).split(",");
  if (hosts.length > 1) metadata.hosts = hosts.join(",");
  const [first] = hosts.map(parseHost);
  return { ...first, database: decode(path, "path") || undefined };
}

function parseHost(text: string): { host: string | undefined; port: number | undefined } {
  const match = /^(\[[^\]]+\]|[^:]*)(?::(.*))?$/.exec(text);
  if (!match) throw invalid("its host is not valid; an IPv6 address goes into brackets");
  const port = match[2] ? Number(/^\d+$/.test(match[2]) ? match[2] : Number.NaN) : undefined;
  if (port !== undefined) checkPort(port);
  return { host: match[1]!.replace(/^\[|\]$/g, "") || undefined, port };
}

function checkPort(port: number): void {
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw invalid("port must be a whole number from 1 to 65535");
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(`its ${part} has a "%" that is not an escape; write "%25"`);
  }
}

function invalid(what: string): P2PError {
  return new P2PError("INVALID_ENDPOINT", `Invalid endpoint: ${what}`);
}

function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as never;
}

/** How an endpoint is called in messages: its type and place, never a secret. */
export function endpointLabel(endpoint: Omit<EndpointInfo, "endpointId">): string {
  const { storageType, host, port, database } = endpoint;
  if (host === undefined) return `${storageType}:${database ?? ""}`;
  const name = host.includes(":") ? `[${host}]` : host;
  return `${storageType}://${name}${port === undefined ? "" : `:${port}`}${database === undefined ? "" : `/${database}`}`;
}
