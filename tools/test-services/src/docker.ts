import { existsSync } from "node:fs";
import { type RequestOptions, request } from "node:http";
import { homedir } from "node:os";
import { join } from "node:path";

/** Whether a Docker engine really answers, which a docker command or a leftover socket file does not prove. */
export async function dockerAnswers(timeoutMs = 2_000): Promise<boolean> {
  for (const address of candidates()) {
    if (await pings(address, timeoutMs)) return true;
  }
  return false;
}

function candidates(): RequestOptions[] {
  const { DOCKER_HOST, XDG_RUNTIME_DIR } = process.env;
  if (DOCKER_HOST) {
    const [, scheme, rest = ""] = /^(\w+):\/\/(.*)$/.exec(DOCKER_HOST) ?? [];
    if (scheme === "unix" || scheme === "npipe") return [{ socketPath: rest }];
    if (scheme !== "tcp" && scheme !== "http") return [];
    const { hostname, port } = new URL(`http://${rest}`);
    return [{ host: hostname, port: port || 2375 }];
  }
  if (process.platform === "win32") return [{ socketPath: "//./pipe/docker_engine" }];
  return [
    "/var/run/docker.sock",
    ...(XDG_RUNTIME_DIR ? [join(XDG_RUNTIME_DIR, "docker.sock")] : []),
    join(homedir(), ".docker", "run", "docker.sock"),
  ]
    .filter((path) => existsSync(path))
    .map((socketPath) => ({ socketPath }));
}

function pings(address: RequestOptions, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const ping = request({ ...address, path: "/_ping", signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.once("error", () => resolve(false));
    ping.end();
  });
}
