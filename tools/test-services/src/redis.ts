import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Child, startChild } from "./child.ts";
import { fetchDebianPrograms } from "./debian-packages.ts";
import { freePort } from "./free-port.ts";
import { cached, fingerprint } from "./native-cache.ts";
import { type NativeStart, startNative } from "./native-server.ts";
import { probeRedis } from "./probe.ts";
import { runProgram } from "./run-program.ts";
import type { RedisServiceOptions, TestService } from "./service.ts";

/** A program and the variables that it needs to run. */
export interface RedisProgram {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Runs redis-server on a leash: redis-server itself does not care about its stdin, so a shell reads it, and ends the
 * server when it closes. The first line of output is the server's process id.
 */
const leash = `
exec 3<&0
"$@" </dev/null >&2 3<&- &
server=$!
( while read -r _; do :; done; kill "$server" ) <&3 >/dev/null 2>&1 &
reader=$!
exec 3<&-
echo "$server"
wait "$server"
status=$?
kill "$reader" 2>/dev/null
exit "$status"
`;

/** Finds redis-server on the PATH, or else fetches Debian's into the cache. */
export async function prepareRedis(log: (line: string) => void): Promise<RedisProgram> {
  const onPath = { command: "redis-server", env: {} };
  if (await runs(onPath)) return onPath;

  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const folder = await cached("redis", await fingerprint(undefined, "redis-server", release), async (building) => {
    log("redis: fetching redis-server for the first time, which takes some seconds");
    const libraries = await fetchDebianPrograms(["redis-server", "redis-tools"], building);
    await writeFile(join(building, "libraries.json"), JSON.stringify(libraries));
    const program = await unpacked(building);
    await runProgram(program.command, ["--version"], { env: program.env, timeoutMs: 10_000 });
  });
  return unpacked(folder);
}

async function unpacked(folder: string): Promise<RedisProgram> {
  const libraries = JSON.parse(await readFile(join(folder, "libraries.json"), "utf8")) as string[];
  const { LD_LIBRARY_PATH } = process.env;
  const paths = libraries.map((path) => join(folder, path));
  return {
    command: join(folder, "usr", "bin", "redis-server"),
    env: { LD_LIBRARY_PATH: [...paths, ...(LD_LIBRARY_PATH ? [LD_LIBRARY_PATH] : [])].join(":") },
  };
}

async function runs({ command, env }: RedisProgram): Promise<boolean> {
  return runProgram(command, ["--version"], { env, timeoutMs: 10_000 }).then(
    () => true,
    () => false,
  );
}

/** Starts a Redis server. */
export async function startRedis(log: (line: string) => void, options: RedisServiceOptions = {}): Promise<TestService> {
  const program = await prepareRedis(log);
  return startNative({
    kind: "redis",
    product: "Redis",
    start: (dataFolder, port) =>
      port === undefined
        ? withFreePort((free) => startOn(free, program, dataFolder, options))
        : startOn(port, program, dataFolder, options),
  });
}

/** Redis cannot choose a port and say which, so between our choice and its bind another process may be faster. */
async function withFreePort(start: (port: number) => Promise<NativeStart>): Promise<NativeStart> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (attempt === 3 || !String(error).includes("Address already in use")) throw error;
    }
  }
}

async function startOn(
  port: number,
  { command, env }: RedisProgram,
  dataFolder: string,
  { password, persistent = false, args = [] }: RedisServiceOptions,
): Promise<NativeStart> {
  const settings = [
    ["--bind", "127.0.0.1"],
    ["--port", String(port)],
    ["--dir", dataFolder],
    ["--save", ""],
    ["--appendonly", persistent ? "yes" : "no"],
    ["--daemonize", "no"],
    ...(password === undefined ? [] : [["--requirepass", password]]),
  ].flat();
  const child = await startChild("sh", ["-c", leash, "sh", command, ...settings, ...args], {
    name: "redis-server",
    cwd: dataFolder,
    env,
    pidFrom: Number,
  });
  const url = `redis://${password === undefined ? "" : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`;
  try {
    const { version } = await untilItAnswers(url, child);
    return { child, url, version };
  } catch (error) {
    await child.kill();
    throw error;
  }
}

/** Waits until the server is listening and has loaded its data. */
async function untilItAnswers(url: string, child: Child): Promise<{ version: string }> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      return await Promise.race([probeRedis(url), child.died]);
    } catch (error) {
      if (child.hasEnded() || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
