import { join } from "node:path";
import { startChild } from "./child.ts";
import { cached, fingerprint, nativeSources } from "./native-cache.ts";
import { startNative } from "./native-server.ts";
import { runProgram } from "./run-program.ts";
import type { TestService } from "./service.ts";

const sources = join(nativeSources, "ferretdb");

/** Builds FerretDB with the machine's Go into the cache, unless it is there, and resolves with the program's path. */
export async function prepareFerretdb(log: (line: string) => void): Promise<string> {
  const folder = await cached("ferretdb", await fingerprint(sources), async (building) => {
    log("mongodb: building FerretDB for the first time, which takes a minute or two");
    // SQLite comes as Go code, so no C compiler is needed; without the PostgreSQL backend there is less to compile.
    const args = ["build", "-trimpath", "-tags=ferretdb_no_postgresql", "-ldflags=-s -w", "-o", building, "."];
    await runProgram("go", args, { cwd: sources, env: { CGO_ENABLED: "0" } });
  });
  return join(folder, "ferretdb");
}

/** Starts FerretDB on its SQLite backend: a server that speaks MongoDB's protocol. */
export async function startFerretdb(log: (line: string) => void): Promise<TestService> {
  const program = await prepareFerretdb(log);
  return startNative({
    kind: "mongodb",
    product: "FerretDB",
    async start(dataFolder, port = 0) {
      const args = ["-listen", `127.0.0.1:${port}`, "-dir", dataFolder];
      const child = await startChild(program, args, { name: "FerretDB", cwd: dataFolder });
      const { url, version } = JSON.parse(child.firstLine) as { url: string; version: string };
      return { child, url, version };
    },
  });
}
