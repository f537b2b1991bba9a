import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fetchDebianPrograms, libraryPath } from "./debian-packages.ts";
import { onPort } from "./free-port.ts";
import { startOnLeash, untilItAnswers } from "./leash.ts";
import { cached, fingerprint } from "./native-cache.ts";
import { type NativeStart, startNative } from "./native-server.ts";
import { giveTo, ordinaryUser, withinReach } from "./ordinary-user.ts";
import { probePostgresql } from "./probe.ts";
import { runProgram } from "./run-program.ts";
import { ServiceUnavailableError, type TestService } from "./service.ts";

/** What a pooler is told beside where its server is. */
export interface PgbouncerOptions {
  /** Receives the lines about what is being fetched. @default console.info */
  readonly log?: ((line: string) => void) | undefined;
  /** More settings of the section `[pgbouncer]`, such as `{ default_pool_size: "2" }`. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

/** Unpacks Debian's PgBouncer into the cache, unless it is there, and resolves with the folder. */
export async function preparePgbouncer(log: (line: string) => void): Promise<string> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  return cached("pgbouncer", await fingerprint(undefined, "pgbouncer", release), async (building) => {
    log("postgresql: fetching PgBouncer for the first time, which takes some seconds");
    await fetchDebianPrograms(["pgbouncer"], building);
    const { command, env } = await programIn(building);
    await runProgram(command, ["--version"], { env, timeoutMs: 10_000 });
    await chmod(building, 0o755);
  });
}

interface Program {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
}

async function programIn(folder: string): Promise<Program> {
  return { command: join(folder, "usr", "sbin", "pgbouncer"), env: await libraryPath(folder) };
}

/**
 * Starts PgBouncer in front of a PostgreSQL server: a connection pooler in transaction mode, which gives each transaction of
 * a client another session of the server. Its URL takes the place of the server's, with the same user and password. It is a
 * native process wherever the server runs.
 *
 * @throws ServiceUnavailableError when it cannot be had
 */
export async function startPgbouncer(
  server: string,
  { log = console.info, settings = {} }: PgbouncerOptions = {},
): Promise<TestService> {
  try {
    const folder = await preparePgbouncer(log);
    let program: Program | undefined;
    return await startNative({
      kind: "postgresql",
      product: "PgBouncer",
      async start(dataFolder, port) {
        program ??= await programIn(await withinReach(folder, dataFolder, "PgBouncer"));
        return onPort(port, (port) => startOn(port, program as Program, dataFolder, new URL(server), settings));
      },
    });
  } catch (error) {
    const reason = `no PgBouncer: ${error instanceof Error ? error.message : error}`;
    throw new ServiceUnavailableError("postgresql", reason, { cause: error });
  }
}

async function startOn(
  port: number,
  { command, env }: Program,
  dataFolder: string,
  server: URL,
  settings: Readonly<Record<string, string>>,
): Promise<NativeStart> {
  const user = ordinaryUser();
  const config = join(dataFolder, "pgbouncer.ini");
  const users = join(dataFolder, "users.txt");
  const all = {
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "scram-sha-256",
    auth_file: users,
    pool_mode: "transaction",
    max_client_conn: "500",
    server_tls_sslmode: "prefer",
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
  const where = `* = host=${server.hostname} port=${server.port || 5432}`;
  await writeFile(config, ["[databases]", where, "[pgbouncer]", ...lines, ""].join("\n"));
  // In plain text, since it must prove the password to the server as well.
  const [name, password] = [server.username, server.password].map((text) =>
    decodeURIComponent(text).replaceAll('"', '""'),
  );
  await writeFile(users, `"${name}" "${password}"\n`, { mode: 0o600 });
  if (user) await giveTo(user, dataFolder);
  const child = await startOnLeash(command, [config], { name: "pgbouncer", cwd: dataFolder, env, user });
  const url = new URL(server.href);
  url.hostname = "127.0.0.1";
  url.port = String(port);
  const { version } = await untilItAnswers(() => probePostgresql(url.href), child);
  return { child, url: url.href, version };
}
