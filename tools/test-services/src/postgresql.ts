import { chmod, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Child } from "./child.ts";
import { fetchDebianPrograms, libraryPath } from "./debian-packages.ts";
import { onPort } from "./free-port.ts";
import { startOnLeash, untilItAnswers } from "./leash.ts";
import { cached, fingerprint } from "./native-cache.ts";
import { type NativeStart, startNative } from "./native-server.ts";
import { giveTo, ordinaryUser, withinReach } from "./ordinary-user.ts";
import { initdbArguments, newPassword, settingsOf, superuser, urlOf } from "./postgresql-settings.ts";
import { probePostgresql } from "./probe.ts";
import { killChildrenOf } from "./process-children.ts";
import { runProgram } from "./run-program.ts";
import { makeSelfSigned } from "./self-signed.ts";
import type { PostgresqlServiceOptions, TestService } from "./service.ts";

/** `postgresql` names the version of the release by what it depends on. */
const packages = { with: /^postgresql-\d+$/, without: /^libllvm/ };

/** A path of a Unix socket has room for 107 bytes, of which the name takes some. */
const longestSocketFolder = 85;

/**
 * Unpacks Debian's PostgreSQL into the cache, unless it is there, and resolves with the folder. A PostgreSQL that is
 * installed on the machine is left alone: its versions and its configuration are its owner's.
 */
export async function preparePostgresql(log: (line: string) => void): Promise<string> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  return cached("postgresql", await fingerprint(undefined, "postgresql", release), async (building) => {
    log("postgresql: fetching PostgreSQL for the first time, which takes some seconds");
    await fetchDebianPrograms(["postgresql"], building, packages);
    // Half of it is translations, and the input of a compiler that is off.
    for (const needless of ["share/doc", "share/locale", "share/man"]) await remove(building, needless);
    for (const version of await readdir(join(building, "usr/lib/postgresql"))) {
      await remove(building, `lib/postgresql/${version}/lib/bitcode`);
    }
    const { bin, env } = await programsIn(building);
    await runProgram(join(bin, "postgres"), ["--version"], { env, timeoutMs: 10_000 });
    // mkdtemp gave it to us alone, and a server that root starts runs as another.
    await chmod(building, 0o755);
  });
}

function remove(building: string, path: string): Promise<void> {
  return rm(join(building, "usr", path), { recursive: true, force: true });
}

/** Where `initdb` and `postgres` are, and the variables that they need to run. */
interface Programs {
  readonly bin: string;
  readonly env: Readonly<Record<string, string>>;
}

async function programsIn(folder: string): Promise<Programs> {
  const versions = await readdir(join(folder, "usr/lib/postgresql"));
  const bin = join(folder, "usr/lib/postgresql", String(versions.at(-1)), "bin");
  // Its messages are searched for words, and a locale that the machine lacks would stop initdb.
  return { bin, env: { ...(await libraryPath(folder)), LC_ALL: "C.UTF-8" } };
}

/** Starts a PostgreSQL server with TLS and a superuser whose password is in the URL. */
export async function startPostgresql(
  log: (line: string) => void,
  options: PostgresqlServiceOptions = {},
): Promise<TestService> {
  const folder = await preparePostgresql(log);
  const password = newPassword();
  let programs: Programs | undefined;
  return startNative({
    kind: "postgresql",
    product: "PostgreSQL",
    async start(dataFolder, port) {
      programs ??= await makeCluster(folder, dataFolder, password);
      return onPort(port, (port) => startOn(port, programs as Programs, dataFolder, password, options));
    },
  });
}

/** Makes an empty cluster in the data folder, and resolves with the programs that run it. */
async function makeCluster(folder: string, dataFolder: string, password: string): Promise<Programs> {
  const user = ordinaryUser();
  const programs = await programsIn(await withinReach(folder, dataFolder, "PostgreSQL"));
  const passwordFile = join(dataFolder, "password");
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (user) await giveTo(user, dataFolder);
  const data = join(dataFolder, "data");
  await runProgram(
    join(programs.bin, "initdb"),
    [...initdbArguments, `--username=${superuser}`, `--pwfile=${passwordFile}`, `--pgdata=${data}`],
    { env: programs.env, cwd: dataFolder, user },
  );
  await rm(passwordFile);
  const { certificate, key } = makeSelfSigned();
  await writeFile(join(data, "server.crt"), certificate);
  await writeFile(join(data, "server.key"), key, { mode: 0o600 });
  if (user) await giveTo(user, dataFolder);
  return programs;
}

async function startOn(
  port: number,
  { bin, env }: Programs,
  dataFolder: string,
  password: string,
  options: PostgresqlServiceOptions,
): Promise<NativeStart> {
  const ours = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: Buffer.byteLength(dataFolder) > longestSocketFolder ? "" : dataFolder,
  };
  const settings = settingsOf({ ...options, settings: { ...ours, ...options.settings } });
  const child = await startOnLeash(join(bin, "postgres"), ["-D", join(dataFolder, "data"), ...settings], {
    name: "postgres",
    cwd: dataFolder,
    env,
    user: ordinaryUser(),
    // The fast shutdown: the one by TERM waits for every client to leave.
    signal: "INT",
    // Not by SIGKILL, after which its shared memory stays until the machine is restarted.
    exitSignal: "SIGQUIT",
  });
  const url = urlOf(password, port);
  const { version } = await untilItAnswers(() => probePostgresql(url), child);
  return { child: { ...child, kill: () => crash(child) }, url, version };
}

/** The whole server at once: a session that outlived it would keep the next one from starting. */
async function crash(child: Child): Promise<void> {
  if (!child.hasEnded()) await killChildrenOf(child.pid);
  await child.kill();
}
