import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fetchDebianPrograms, libraryPath } from "./debian-packages.ts";
import { onPort } from "./free-port.ts";
import { startOnLeash, untilItAnswers } from "./leash.ts";
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

/** Finds redis-server on the PATH, or else fetches Debian's into the cache. */
export async function prepareRedis(log: (line: string) => void): Promise<RedisProgram> {
  const onPath = { command: "redis-server", env: {} };
  if (await runs(onPath)) return onPath;

  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const folder = await cached("redis", await fingerprint(undefined, "redis-server", release), async (building) => {
    log("redis: fetching redis-server for the first time, which takes some seconds");
    await fetchDebianPrograms(["redis-server", "redis-tools"], building);
    const program = await unpacked(building);
    await runProgram(program.command, ["--version"], { env: program.env, timeoutMs: 10_000 });
  });
  return unpacked(folder);
}

async function unpacked(folder: string): Promise<RedisProgram> {
  return { command: join(folder, "usr", "bin", "redis-server"), env: await libraryPath(folder) };
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
    start: (dataFolder, port) => onPort(port, (port) => startOn(port, program, dataFolder, options)),
  });
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
  const child = await startOnLeash(command, [...settings, ...args], { name: "redis-server", cwd: dataFolder, env });
  const url = `redis://${password === undefined ? "" : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`;
  const { version } = await untilItAnswers(() => probeRedis(url), child);
  return { child, url, version };
}
