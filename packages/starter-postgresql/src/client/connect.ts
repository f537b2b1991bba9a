/** Connecting: the hosts in their order, encrypted or not as `sslmode` says, until one is there that will do. */
import type { Socket } from "node:net";
import {
  type HostPort,
  hostText,
  messageOf,
  networkTrouble,
  onAbort,
  P2PError,
  suggest,
  unlessAborted,
  withDeadline,
} from "@omni/p2p-core/starter";
import type * as Pg from "pg";
import { isSocketFolder, type PostgresqlEndpoint, type SessionKind, socketPath } from "../endpoint.ts";
import { Connection } from "./connection.ts";
import { isServerError, postgresqlError, sqlState } from "./errors.ts";
import { type PasswordAnswer, passwordByFile } from "./password-file.ts";
import { openSocket, ProtocolMismatch, type SocketRequest } from "./socket.ts";
import { type Attempt, attemptsOf, tlsOptions } from "./tls.ts";
import { Script } from "./work.ts";

/** The driver, loaded when the first endpoint is opened. */
export type Driver = typeof Pg;

/** What a server says of itself. */
export interface Greeting {
  /** `server_version_num`, such as 150013. */
  readonly version: number;
  /** As people say it: `15.13`. */
  readonly versionText: string;
  readonly inRecovery: boolean;
  readonly readOnly: boolean;
}

/** A connection, with what the server said of itself. */
export interface Connected {
  readonly connection: Connection;
  readonly greeting: Greeting;
}

/** What a connection is for. */
interface Plan {
  readonly database: string;
  /** Whether it is to speak the replication protocol. */
  readonly replication: boolean;
}

const GREETING = `SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('server_version'),
  pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')`;

/** The oldest server whose catalogue has all that is asked for, as `server_version_num`. */
const OLDEST = 120_000;
/** Databases that a message names at most. */
const MOST_LISTED = 20;
/** The database that most servers have. */
const LISTING: Plan = { database: "postgres", replication: false };
/** Time to ask which databases there are, in ms. */
const LISTING_MS = 2000;
const DATABASES = `SELECT d.datname FROM pg_catalog.pg_database d WHERE d.datallowconn AND NOT d.datistemplate
  AND pg_catalog.has_database_privilege(d.oid, 'CONNECT') ORDER BY d.datname COLLATE "C"`;

/** Connects to servers of one endpoint. */
export class Connector {
  readonly endpoint: PostgresqlEndpoint;
  readonly #driver: Driver;
  readonly #connectTimeoutMs: number;

  constructor(driver: Driver, endpoint: PostgresqlEndpoint, connectTimeoutMs: number) {
    this.#driver = driver;
    this.endpoint = endpoint;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /**
   * Opens a connection to the first host that will do.
   *
   * @throws P2PError `CONNECTION_FAILED`, `TIMEOUT`, `AUTHENTICATION_FAILED`, `INVALID_ENDPOINT` or `TARGET_NOT_WRITABLE`
   */
  connect(signal: AbortSignal): Promise<Connected> {
    const { sessionKind } = this.endpoint;
    const plan: Plan = { replication: false, database: this.endpoint.database };
    return this.#connect(sessionKind === "prefer-standby" ? [sessionKind, "any"] : [sessionKind], plan, signal);
  }

  /**
   * Opens a connection to the primary that speaks the replication protocol as well: it takes the simple protocol alone.
   *
   * @throws P2PError as {@link Connector.connect}
   */
  async connectReplication(signal: AbortSignal): Promise<Connection> {
    const plan: Plan = { replication: true, database: this.endpoint.database };
    return (await this.#connect(["primary"], plan, signal)).connection;
  }

  async #connect(kinds: readonly SessionKind[], plan: Plan, signal: AbortSignal): Promise<Connected> {
    const { hosts, label } = this.endpoint;
    const start = performance.now();
    const failures: { readonly at: HostPort; readonly error: P2PError }[] = [];
    for (const kind of kinds) {
      for (const [index, at] of hosts.entries()) {
        const left = Math.max(1, this.#connectTimeoutMs - (performance.now() - start));
        const share =
          this.endpoint.hostTimeoutMs > 0 ? Math.min(left, this.endpoint.hostTimeoutMs) : left / (hosts.length - index);
        try {
          return await withDeadline(
            share,
            signal,
            () => this.#late(at, share),
            (either) => this.#connectTo(at, kind, either, plan),
          );
        } catch (error) {
          signal.throwIfAborted();
          const failure = await this.#failure(error, signal);
          // Another host would say the same of the user, the database and the files.
          if (/^(?:AUTHENTICATION_FAILED|INVALID_ENDPOINT|SOURCE_NOT_FOUND)$/.test(failure.code)) throw failure;
          failures.push({ at, error: failure });
        }
      }
    }
    const last = failures.at(-1)!.error;
    if (hosts.length === 1) throw last;
    const all = failures.slice(-hosts.length).map(({ at, error }) => `${shownHost(at)}: ${reasonOf(error, label)}`);
    const code = failures.every(({ error }) => error.code === last.code) ? last.code : "CONNECTION_FAILED";
    throw new P2PError(
      code,
      `Cannot connect to ${label}: none of its ${hosts.length} hosts would do: ${all.join("; ")}`,
      {
        cause: last,
      },
    );
  }

  async #failure(error: unknown, signal: AbortSignal): Promise<P2PError> {
    if (sqlState(error) === "3D000") return this.#databaseMissing(error, signal);
    return postgresqlError(error, "open", this.endpoint.label);
  }

  /** Says that the database is missing, and which there are where the user may be told so. */
  async #databaseMissing(error: unknown, signal: AbortSignal): Promise<P2PError> {
    const { label, database, user, sessionKind, hosts } = this.endpoint;
    const names = await this.#databases(hosts[0]!, signal);
    // Whoever shows the message takes the user's name out of it, and with it that of the database.
    const namesake = (name: string) => (name === user ? " (named as the user)" : "");
    const shown = names.slice(0, MOST_LISTED).map((name) => `${name}${namesake(name)}`);
    const known = names.length === 0 ? "" : `; there are ${shown.join(", ")}`;
    const isTarget = sessionKind === "read-write";
    return new P2PError(
      isTarget ? "INVALID_ENDPOINT" : "SOURCE_NOT_FOUND",
      `Cannot connect to ${label}: there is no database ${JSON.stringify(database)}${namesake(database)}${suggest(database, names)}${known}${isTarget ? ". Name one of them, or make it by CREATE DATABASE" : ""}`,
      { cause: error },
    );
  }

  /** The databases that the user may connect to, by one that most servers have. */
  async #databases(at: HostPort, signal: AbortSignal): Promise<string[]> {
    const soon = AbortSignal.any([signal, AbortSignal.timeout(LISTING_MS)]);
    try {
      const { connection } = await unlessAborted(this.#connectTo(at, "any", soon, LISTING), soon);
      try {
        const [answer] = await unlessAborted(connection.pipeline([{ text: DATABASES }]), soon);
        return answer!.rows.map(([name]) => name!);
      } finally {
        connection.destroy();
      }
    } catch {
      return [];
    }
  }

  #late(at: HostPort, ms: number): P2PError {
    return new P2PError(
      "TIMEOUT",
      `Cannot connect to ${this.endpoint.label}: ${shownHost(at)} did not answer within ${Math.round(ms)} ms. Check host, port and firewall, or raise connection_timeout.`,
    );
  }

  /** One host, encrypted or not in the order that the mode has. */
  async #connectTo(at: HostPort, kind: SessionKind, signal: AbortSignal, plan: Plan): Promise<Connected> {
    const attempts = attemptsOf(this.endpoint.tls, at.host);
    let first: unknown;
    for (const attempt of attempts) {
      try {
        return await this.#attempt(at, attempt, kind, signal, plan);
      } catch (error) {
        signal.throwIfAborted();
        // Of two failures the one tells more that got further than the socket.
        if (first !== undefined) throw isAtSocket(error) ? first : error;
        if (!mayDoOtherwise(error)) throw error;
        first = error;
      }
    }
    throw first;
  }

  async #attempt(
    at: HostPort,
    attempt: Attempt,
    kind: SessionKind,
    signal: AbortSignal,
    plan: Plan,
  ): Promise<Connected> {
    const { tls, label } = this.endpoint;
    const request: SocketRequest = {
      at,
      tls: attempt === "tls" ? await tlsOptions(tls, label) : undefined,
      direct: tls.direct,
    };
    const socket = await this.#open(request, signal);
    const forget = onAbort(signal, () => socket.destroy());
    try {
      const connection = await this.#login(socket, request, plan);
      const greeting = await greetingOf(connection);
      assertVersion(greeting, label);
      assertKind(greeting, kind, label);
      return { connection, greeting };
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      forget();
    }
  }

  async #open(request: SocketRequest, signal: AbortSignal): Promise<Socket> {
    try {
      return await openSocket(request, signal);
    } catch (error) {
      if (!(error instanceof ProtocolMismatch)) throw error;
      const { label, tls } = this.endpoint;
      const advice =
        error.kind === "stranger"
          ? "check host and port"
          : `sslmode=${tls.mode} asks for it; take sslmode=prefer or sslmode=disable`;
      throw new P2PError("CONNECTION_FAILED", `Cannot connect to ${label}: ${error.message}; ${advice}.`, {
        cause: error,
      });
    }
  }

  /** Introduces us to the server on a socket that is open. */
  async #login(socket: Socket, request: SocketRequest, { database, replication }: Plan): Promise<Connection> {
    const { user, applicationName, settings, channelBinding, label } = this.endpoint;
    const { at } = request;
    let asked: PasswordAnswer | undefined;
    const client = new this.#driver.Client({
      user,
      database,
      host: at.host,
      port: at.port,
      password: async () => {
        asked = await this.#password(at);
        return asked.password as string;
      },
      stream: () => alreadyConnected(socket),
      ssl: false,
      sslnegotiation: "postgres",
      client_encoding: "UTF8",
      application_name: applicationName,
      ...(replication && ({ replication: "database" } as object)),
      // The driver would take these from the environment when they are empty.
      ...(settings !== undefined && { options: settings }),
      enableChannelBinding: request.tls !== undefined && channelBinding !== "disable",
    });
    let bound = false;
    const { connection: wire } = client as unknown as { connection: NodeJS.EventEmitter };
    wire.on("authenticationSASL", ({ mechanisms }: { readonly mechanisms: readonly string[] }) => {
      bound = request.tls !== undefined && mechanisms.includes("SCRAM-SHA-256-PLUS");
    });
    const connection = new Connection(client, request);
    const stranger = Promise.withResolvers<never>();
    stranger.promise.catch(() => {});
    socket.once("data", (chunk: Buffer) => {
      if (chunk.length > 0 && !"RENSv".includes(String.fromCharCode(chunk[0]!))) stranger.reject(this.#notOurs(chunk));
    });
    try {
      await Promise.race([client.connect(), stranger.promise]);
    } catch (error) {
      if (asked?.password === undefined && asked !== undefined && !isProtocolError(error)) {
        throw new P2PError(
          "AUTHENTICATION_FAILED",
          `Cannot connect to ${label}: the server asks for a password, and there is none: give one in the endpoint, by PGPASSWORD or in the password file${asked.refused === undefined ? "" : ` (${asked.refused})`}`,
          { cause: error },
        );
      }
      throw error;
    }
    if (channelBinding === "require" && !bound) {
      connection.destroy();
      throw new P2PError(
        "CONNECTION_FAILED",
        `Cannot connect to ${label}: channel_binding=require, and the server does not bind SCRAM to TLS; check sslmode, or leave it out`,
      );
    }
    return connection;
  }

  #notOurs(chunk: Buffer): P2PError {
    const { label, tls } = this.endpoint;
    // An alert of TLS: the handshake was expected at once.
    const speaksTls = chunk[0] === 0x15 || chunk[0] === 0x16;
    return new P2PError(
      "CONNECTION_FAILED",
      `Cannot connect to ${label}: ${
        speaksTls
          ? `the server wants TLS, and this is sslmode=${tls.mode}; take sslmode=require, and sslnegotiation=direct where it wants TLS at once`
          : "what answers there is no PostgreSQL server; check host and port"
      }.`,
    );
  }

  async #password(at: HostPort): Promise<PasswordAnswer> {
    const { password, passwordFile, user, database } = this.endpoint;
    return password === undefined ? passwordByFile({ ...at, user, database }, passwordFile) : { password };
  }
}

/** What hinders one of several hosts, without the name of the endpoint. */
function reasonOf({ cause, message }: P2PError, label: string): string {
  if (cause !== undefined) return messageOf(cause);
  return message.replace(`Cannot write to ${label}: `, "").replace(`Cannot connect to ${label}: `, "");
}

/** Whether it came no further than to the socket. */
function isAtSocket(error: unknown): boolean {
  return (
    networkTrouble(error) !== undefined || (error as { readonly cause?: unknown }).cause instanceof ProtocolMismatch
  );
}

function isProtocolError(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && !state.startsWith("28");
}

/** Whether the same host may take us the other way: encrypted where plain was refused, or plain. */
function mayDoOtherwise(error: unknown): boolean {
  if (isServerError(error)) return error.code === "28000";
  const { cause } = error as { readonly cause?: unknown };
  if (cause instanceof ProtocolMismatch) return cause.kind === "plain";
  const { code } = error as { readonly code?: unknown };
  // A handshake that failed, or was hung up on.
  return code === "ECONNRESET" || code === "EPROTO" || /^ERR_(?:SSL|TLS|OSSL)/.test(String(code));
}

/** A socket as the driver wants it: one that it may tell to connect. */
function alreadyConnected(socket: Socket): Socket {
  return Object.defineProperty(socket, "connect", {
    value: () => {
      process.nextTick(() => socket.emit("connect"));
      return socket;
    },
  });
}

async function greetingOf(connection: Connection): Promise<Greeting> {
  const [answer] = await connection.run(new Script(GREETING));
  const [version, versionText, inRecovery, readOnly] = answer!.rows[0]!;
  return {
    version: Number(version),
    versionText: versionText!.split(" ")[0]!,
    inRecovery: inRecovery === "t",
    readOnly: readOnly === "on",
  };
}

function assertVersion({ version, versionText }: Greeting, label: string): void {
  if (version >= OLDEST) return;
  throw new P2PError(
    "CONNECTION_FAILED",
    `Cannot connect to ${label}: the server is PostgreSQL ${versionText}, and 12 is the oldest that will do`,
  );
}

function assertKind({ inRecovery, readOnly }: Greeting, kind: SessionKind, label: string): void {
  const found = inRecovery ? "a standby" : readOnly ? "read-only (default_transaction_read_only)" : "the primary";
  const will =
    kind === "any" ||
    (kind === "read-write" && !inRecovery && !readOnly) ||
    (kind === "read-only" && (inRecovery || readOnly)) ||
    (kind === "primary" && !inRecovery) ||
    (/standby$/.test(kind) && inRecovery);
  if (will) return;
  throw kind === "read-write"
    ? new P2PError("TARGET_NOT_WRITABLE", `Cannot write to ${label}: the server is ${found}; name the primary`)
    : new P2PError(
        "CONNECTION_FAILED",
        `Cannot connect to ${label}: target_session_attrs=${kind}, and the server is ${found}`,
      );
}

function shownHost(at: HostPort): string {
  return isSocketFolder(at.host) ? socketPath(at) : hostText(at);
}
