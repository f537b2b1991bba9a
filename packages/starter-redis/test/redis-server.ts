import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { startService } from "@omni/p2p-test-services";
import { Redis } from "ioredis";
import { closedPort } from "./tcp.ts";

/** A program that starts servers of kinds that the test services do not: nodes of a cluster, Sentinels, TLS. */
export interface ServerProgram {
  readonly command: string;
  readonly env: NodeJS.ProcessEnv;
}

/** The program of the machine, or else that of the test services; `undefined` where they have none either. */
export async function findServerProgram(): Promise<ServerProgram | undefined> {
  const onPath = { command: "redis-server", env: process.env };
  const runs = await promisify(execFile)(onPath.command, ["--version"]).then(
    () => true,
    () => false,
  );
  if (runs) return onPath;
  const service = await startService("redis", { exclusive: true, log: () => {} });
  try {
    if (service.how !== "native" || service.pid === undefined) return undefined;
    const command = await readlink(`/proc/${service.pid}/exe`);
    const maps = await readFile(`/proc/${service.pid}/maps`, "utf8");
    const folders = new Set(Array.from(maps.matchAll(/\s(\/.*)\/[^/]*\.so[^/]*$/gm), ([, folder]) => folder));
    return { command, env: { ...process.env, LD_LIBRARY_PATH: [...folders].join(":") } };
  } catch {
    return undefined;
  } finally {
    await service.stop();
  }
}

/** A running server. */
export interface OwnServer {
  readonly port: number;
  /** A client of it, without TLS. */
  readonly client: Redis;
  /** A folder that goes with it. */
  readonly folder: string;
  /** Ends it without warning. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server on a free port; `settings` are told the port and the folder. */
export async function startOwnServer(
  program: ServerProgram,
  settings: (port: number, folder: string) => readonly string[] | Promise<readonly string[]>,
  password?: string,
): Promise<OwnServer> {
  const folder = await mkdtemp(join(tmpdir(), "p2p-redis-"));
  const port = await closedPort();
  const child = spawn(program.command, [...(await settings(port, folder))], {
    env: program.env,
    cwd: folder,
    // The program goes by its name: under another it only checks files.
    argv0: "redis-server",
    stdio: "ignore",
  });
  const client = new Redis({
    port,
    host: "127.0.0.1",
    ...(password !== undefined && { password }),
    retryStrategy: () => 30,
    maxRetriesPerRequest: null,
  });
  client.on("error", () => {});
  const ended = once(child, "exit").then(() => {
    throw new Error(`redis-server ended as soon as it was started, with ${child.spawnargs.join(" ")}`);
  });
  await Promise.race([client.ping(), ended]);
  const kill = () => end(child);
  return {
    port,
    client,
    folder,
    kill,
    async stop() {
      client.disconnect();
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** What a server needs that keeps nothing. */
export function plainSettings(port: number, folder: string): string[] {
  return ["--bind", "127.0.0.1", "--port", String(port), "--dir", folder, "--save", "", "--appendonly", "no"];
}

/** Asks again until it is so. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come true`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
