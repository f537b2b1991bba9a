/** The endpoint of PostgreSQL: its options, and how they, the environment and libpq's defaults say where to connect to. */
import { existsSync } from "node:fs";
import { isIPv6 } from "node:net";
import { userInfo } from "node:os";
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

const DEFAULT_PORT = 5432;
/** Longest name, in bytes; the server cuts longer ones without a word. */
const MAX_NAME_BYTES = 63;
/** Where servers of this machine have their sockets, by the packages of Debian and by the makers. */
const SOCKET_FOLDERS = ["/var/run/postgresql", "/run/postgresql", "/tmp"];

const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
const SESSION_KINDS = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] as const;

const text = (description: string) => ({ type: "string", description }) as const;

/** The options of a `postgresql:` endpoint: our own, and those of libpq's connection strings under libpq's names. */
export const postgresqlOptions = {
  table: text(
    'The table, or the view, to read or write: `docs`, `public.docs`, `"Odd.Name"`. Default: of a source the only table it has, of a target the name of its source\'s table, else `records`.',
  ),
  schema: text("The schema of the table. Default: the first of the user's search_path that has it."),
  key: text(
    "The column that names a row, or several with commas between, where it is not the primary key. They must be unique.",
  ),
  create: {
    type: "string",
    values: ["ifMissing", "never"],
    default: "ifMissing",
    description: "Whether a missing table of a target is created when the first records come.",
  },
  unknownFields: {
    type: "string",
    values: ["fail", "add", "ignore"],
    default: "fail",
    description:
      "What a field becomes for which a table that this starter did not create has no column: the record fails, a column is added, or the field is left out.",
  },
  values: {
    type: "string",
    values: ["exact", "plain"],
    default: "exact",
    description:
      "How values come that have no kind of their own in the library (dates, intervals, decimals, …): tagged with their type, or as plain text and numbers.",
  },
  username: text("User name; from the URL's userinfo, else PGUSER, else that of the operating system."),
  password: text("Password; from the URL's userinfo, else PGPASSWORD, else the password file."),
  passfile: text("The password file. Default: PGPASSFILE, else ~/.pgpass."),
  host: text("Host, or the folder of a Unix socket; from the URL, else PGHOST."),
  hosts: text("Several hosts, as host:port,host:port, tried in this order; from the URL."),
  target_session_attrs: {
    type: "string",
    values: SESSION_KINDS,
    description:
      "Which of several hosts will do: `any`, `read-write`, `read-only`, `primary`, `standby`, `prefer-standby`. Default: PGTARGETSESSIONATTRS, else `any`; of a target always `read-write`.",
  },
  sslmode: {
    type: "string",
    values: SSL_MODES,
    description:
      "Whether to encrypt, and whom to trust, as libpq has it: `disable`, `allow`, `prefer`, `require`, `verify-ca`, `verify-full`. Default: PGSSLMODE, else `prefer`.",
  },
  sslnegotiation: {
    type: "string",
    values: ["postgres", "direct"],
    default: "postgres",
    description: "How TLS begins: asked for by PostgreSQL's protocol, or at once (`direct`, since PostgreSQL 17).",
  },
  sslrootcert: text(
    "File with the certificate authorities to trust (PEM), or `system`. Default: PGSSLROOTCERT, else ~/.postgresql/root.crt.",
  ),
  sslcert: text("File with the client's certificate (PEM). Default: PGSSLCERT, else ~/.postgresql/postgresql.crt."),
  sslkey: text("File with the key of it (PEM). Default: PGSSLKEY, else ~/.postgresql/postgresql.key."),
  sslpassword: text("Password of that key."),
  channel_binding: {
    type: "string",
    values: ["disable", "prefer", "require"],
    description: "Whether SCRAM is bound to the TLS connection. Default: PGCHANNELBINDING, else `prefer`.",
  },
  gssencmode: {
    type: "string",
    values: ["disable", "prefer"],
    description: "Taken from connection strings; nothing is ever encrypted by GSSAPI.",
  },
  connect_timeout: {
    type: "number",
    min: 0,
    description:
      "Seconds in which one host must answer. Default: PGCONNECT_TIMEOUT, else its part of connection_timeout.",
  },
  application_name: text("Name by which the server knows the session. Default: PGAPPNAME, else omni-p2p."),
  options: text(
    "Settings of the session as the server's command line takes them (`-c name=value`). Default: PGOPTIONS. Poolers refuse them.",
  ),
} as const satisfies OptionSpecs;

type PostgresqlOptions = OptionsOf<typeof postgresqlOptions>;

export type SslMode = (typeof SSL_MODES)[number];
export type SessionKind = (typeof SESSION_KINDS)[number];

/** A table's name, with its schema where that is given. */
export interface TableName {
  readonly schema: string | undefined;
  readonly name: string;
}

/** What is asked of TLS. */
export interface TlsSettings {
  readonly mode: SslMode;
  readonly direct: boolean;
  /** `system` for the authorities that the system trusts; `undefined` where the endpoint names none. */
  readonly rootCert: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly keyPassword: string | undefined;
}

/** A `postgresql:` endpoint, checked. */
export interface PostgresqlEndpoint {
  /** How messages call it. */
  readonly label: string;
  /** Tried in this order. A host may be the folder of a Unix socket ({@link isSocketFolder}). */
  readonly hosts: readonly HostPort[];
  readonly user: string;
  /** Absent where the password file is to be asked. */
  readonly password: string | undefined;
  readonly passwordFile: string | undefined;
  readonly database: string;
  readonly table: TableName | undefined;
  readonly schema: string | undefined;
  /** The columns of the option `key`. */
  readonly key: readonly string[] | undefined;
  readonly create: PostgresqlOptions["create"];
  readonly unknownFields: PostgresqlOptions["unknownFields"];
  readonly values: PostgresqlOptions["values"];
  readonly tls: TlsSettings;
  readonly channelBinding: "disable" | "prefer" | "require";
  readonly sessionKind: SessionKind;
  /** In which one host must answer, in milliseconds; 0 for no limit of its own. */
  readonly hostTimeoutMs: number;
  readonly applicationName: string;
  readonly settings: string | undefined;
}

/** What the environment says, by the names of libpq. */
type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Checks an endpoint and says how to connect to it. What it leaves open is taken from libpq's variables of the environment, and then from libpq's
 * defaults.
 *
 * @throws P2PError `INVALID_ENDPOINT`
 */
export function parsePostgresqlEndpoint(
  endpoint: EndpointInfo,
  role: "source" | "target",
  env: Environment = process.env,
): PostgresqlEndpoint {
  const { protocol, ...metadata } = endpoint.metadata ?? {};
  if (protocol !== undefined) {
    throw invalid(endpoint, `there is no postgresql+${String(protocol)}:; write postgresql://host/database?table=docs`);
  }
  const options = parseOptions(postgresqlOptions, { ...endpoint, metadata });
  const user = nonEmpty(options.username ?? env.PGUSER) ?? systemUser(endpoint);
  const named = endpoint.database ?? nonEmpty(env.PGDATABASE);
  const database = named ?? user;
  const hosts = hostsOf(endpoint, options, env);
  for (const [what, name] of [
    ["user", user],
    ["database", database],
  ] as const) {
    if (name.includes("\0")) throw invalid(endpoint, `the name of the ${what} holds a NUL character`);
  }
  const table = tableOf(endpoint, options);
  const key = keyOf(endpoint, options);
  for (const name of [table?.schema, table?.name, options.schema, ...(key ?? [])]) {
    if (name !== undefined && Buffer.byteLength(name) > MAX_NAME_BYTES) {
      throw invalid(
        endpoint,
        `${JSON.stringify(name)} has ${Buffer.byteLength(name)} bytes, and PostgreSQL cuts names after ${MAX_NAME_BYTES}`,
      );
    }
  }
  const password = options.password ?? nonEmpty(env.PGPASSWORD);
  return {
    label: endpointLabel(labelled(endpoint, hosts[0]!, named)),
    hosts,
    user,
    password,
    passwordFile: options.passfile ?? nonEmpty(env.PGPASSFILE),
    database,
    table,
    schema: table?.schema ?? options.schema,
    key,
    create: options.create,
    unknownFields: options.unknownFields,
    values: options.values,
    tls: {
      mode: options.sslmode ?? word(endpoint, "PGSSLMODE", env, SSL_MODES) ?? defaultSslMode(options, env),
      direct: options.sslnegotiation === "direct",
      rootCert: options.sslrootcert ?? nonEmpty(env.PGSSLROOTCERT),
      cert: options.sslcert ?? nonEmpty(env.PGSSLCERT),
      key: options.sslkey ?? nonEmpty(env.PGSSLKEY),
      keyPassword: options.sslpassword,
    },
    channelBinding:
      options.channel_binding ??
      word(endpoint, "PGCHANNELBINDING", env, ["disable", "prefer", "require"] as const) ??
      "prefer",
    sessionKind:
      role === "target"
        ? "read-write"
        : (options.target_session_attrs ?? word(endpoint, "PGTARGETSESSIONATTRS", env, SESSION_KINDS) ?? "any"),
    hostTimeoutMs: 1000 * (options.connect_timeout ?? secondsOf(env.PGCONNECT_TIMEOUT)),
    applicationName: options.application_name ?? nonEmpty(env.PGAPPNAME) ?? "omni-p2p",
    settings: options.options ?? nonEmpty(env.PGOPTIONS),
  };
}

/** libpq takes `sslrootcert=system` for a wish to have everything checked. */
function defaultSslMode(options: PostgresqlOptions, env: Environment): SslMode {
  return (options.sslrootcert ?? env.PGSSLROOTCERT) === "system" ? "verify-full" : "prefer";
}

/** The database is left out where it is named as the user, whose name no message shows. */
function labelled(endpoint: EndpointInfo, first: HostPort, database: string | undefined): EndpointInfo {
  // A folder of sockets is no host that a URL could show.
  if (isSocketFolder(first.host)) return { ...endpoint, host: undefined, port: undefined, database };
  const port = endpoint.port ?? (first.port === DEFAULT_PORT ? undefined : first.port);
  return { ...endpoint, host: first.host, port, database };
}

function hostsOf(endpoint: EndpointInfo, options: PostgresqlOptions, env: Environment): HostPort[] {
  if (options.hosts !== undefined) return listOf(endpoint, options.hosts, endpoint.port ?? DEFAULT_PORT);
  const { port } = endpoint;
  if (endpoint.host !== undefined) return [{ host: decodedFolder(endpoint), port: port ?? DEFAULT_PORT }];
  const host = options.host ?? nonEmpty(env.PGHOST);
  const ports = (port === undefined ? (nonEmpty(env.PGPORT) ?? String(DEFAULT_PORT)) : String(port)).split(",");
  if (host === undefined) return [{ host: usualHost(portOf(endpoint, ports[0]!)), port: portOf(endpoint, ports[0]!) }];
  const names = host.split(",");
  // libpq has one port for all hosts, or one for each.
  if (ports.length > 1 && ports.length !== names.length) {
    throw invalid(
      endpoint,
      `there are ${names.length} hosts and ${ports.length} ports; give one port, or one for each`,
    );
  }
  return names.flatMap((name, at) => {
    const own = portOf(endpoint, ports[ports.length === 1 ? 0 : at]!);
    if (isSocketFolder(name)) return [{ host: name, port: own }];
    // An address of IPv6 has no brackets here.
    return listOf(endpoint, isIPv6(name) ? `[${name}]` : name, own);
  });
}

function listOf(endpoint: EndpointInfo, hosts: string, port: number): HostPort[] {
  const found = parseHosts(hosts, port);
  if (found === undefined) throw invalid(endpoint, "hosts must be like h1:5432,h2:5432");
  return found;
}

/** Whether a host is the folder of a Unix socket, or, with `@`, a name of Linux's abstract ones. */
export function isSocketFolder(host: string): boolean {
  return host.startsWith("/") || host.startsWith("@");
}

/** The name of a server's socket in such a folder. */
export function socketPath({ host, port }: HostPort): string {
  return `${host}/.s.PGSQL.${port}`;
}

/** A folder as a URL must write it: `%2Fvar%2Frun%2Fpostgresql`. */
function decodedFolder(endpoint: EndpointInfo): string {
  const host = endpoint.host!;
  if (!/^%2f/i.test(host)) return host;
  try {
    return decodeURIComponent(host);
  } catch {
    throw invalid(endpoint, "the folder of its Unix socket holds a % that begins no escape; write %25 for it");
  }
}

function usualHost(port: number): string {
  return SOCKET_FOLDERS.find((folder) => existsSync(socketPath({ host: folder, port }))) ?? "localhost";
}

function portOf(endpoint: EndpointInfo, given: string): number {
  const port = /^\d{1,5}$/.test(given.trim()) ? Number(given) : 0;
  if (port < 1 || port > 65_535) throw invalid(endpoint, "PGPORT must be whole numbers from 1 to 65535");
  return port;
}

function tableOf(endpoint: EndpointInfo, { table, schema }: PostgresqlOptions): TableName | undefined {
  if (schema !== undefined && (schema === "" || schema.includes("\0"))) {
    throw invalid(endpoint, 'option "schema" must be the name of a schema');
  }
  if (table === undefined) return undefined;
  const parsed = parseTableName(table);
  if (parsed === undefined) {
    throw invalid(
      endpoint,
      'option "table" must be a name such as docs or public.docs; a name with a dot or a quote in it goes into double quotes: "Odd.Name"',
    );
  }
  if (parsed.schema !== undefined && schema !== undefined && parsed.schema !== schema) {
    throw invalid(
      endpoint,
      `option "table" names the schema ${JSON.stringify(parsed.schema)} and option "schema" another; a table with a dot in its name goes into double quotes`,
    );
  }
  return { schema: parsed.schema ?? schema, name: parsed.name };
}

function keyOf(endpoint: EndpointInfo, { key }: PostgresqlOptions): string[] | undefined {
  if (key === undefined) return undefined;
  const names = parseNames(key, ",");
  if (names === undefined || new Set(names).size < names.length) {
    throw invalid(endpoint, 'option "key" must be names of columns with commas between, each once');
  }
  return names;
}

function word<W extends string>(
  endpoint: EndpointInfo,
  name: string,
  env: Environment,
  words: readonly W[],
): W | undefined {
  const value = nonEmpty(env[name]);
  if (value === undefined) return undefined;
  if (!(words as readonly string[]).includes(value)) {
    throw invalid(endpoint, `the variable ${name} of the environment must be one of ${words.join(", ")}`);
  }
  return value as W;
}

function secondsOf(given: string | undefined): number {
  const seconds = Number(given ?? 0);
  return Number.isFinite(seconds) && seconds > 0 ? seconds : 0;
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

function systemUser(endpoint: EndpointInfo): string {
  try {
    return userInfo().username;
  } catch {
    throw invalid(
      endpoint,
      "it names no user, and the operating system knows none; write postgresql://user@host/database",
    );
  }
}

function invalid(endpoint: EndpointInfo, what: string): P2PError {
  return new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${endpointLabel(endpoint)}: ${what}`);
}

/**
 * Takes a list of names apart: `public.docs`, `"Odd.Name"`, `a, "b,c"`. What stands within quotes is one name, and two quotes
 * there are one; what stands without is taken as it is written.
 *
 * @returns `undefined` when it is no such list.
 */
function parseNames(text: string, separator: "." | ","): string[] | undefined {
  const names: string[] = [];
  // Spaces before what has no quotes have one way to match: with two, many of them would take their number cubed.
  const pattern =
    separator === "." ? /\s*"((?:[^"]|"")*)"\s*(\.|$)|([^".]*)(\.|$)/y : /\s*"((?:[^"]|"")*)"\s*(,|$)|([^",]*)(,|$)/y;
  while (true) {
    const match = pattern.exec(text);
    if (match === null) return undefined;
    const [, quoted, quotedEnd, plain, plainEnd] = match;
    const name = quoted === undefined ? plain!.trim() : quoted.replaceAll('""', '"');
    if (name === "" || name.includes("\0")) return undefined;
    names.push(name);
    if ((quotedEnd ?? plainEnd) === "") return names;
  }
}

/** The name of a table with one schema at most; `undefined` when it is none. */
function parseTableName(text: string): TableName | undefined {
  const names = parseNames(text, ".");
  if (names === undefined || names.length > 2) return undefined;
  return { schema: names.length === 2 ? names[0] : undefined, name: names.at(-1)! };
}

/** A name as an option or a message says it: with quotes where it would be taken apart without. */
export function tableNameText({ schema, name }: TableName): string {
  return schema === undefined ? part(name) : `${part(schema)}.${part(name)}`;
}

function part(name: string): string {
  return /[".,]|^\s|\s$/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}
