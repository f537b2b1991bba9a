import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { startChild } from "./child.ts";
import { applyPatch, ferretdbPatches } from "./ferretdb-patches.ts";
import { cached, fingerprint, nativeSources } from "./native-cache.ts";
import { startNative } from "./native-server.ts";
import { runProgram } from "./run-program.ts";
import type { TestService } from "./service.ts";

const sources = join(nativeSources, "ferretdb");
const module = "github.com/FerretDB/FerretDB";

/** Builds FerretDB with the machine's Go into the cache, unless it is there, and resolves with the program's path. */
export async function prepareFerretdb(log: (line: string) => void): Promise<string> {
  const key = await fingerprint(sources, JSON.stringify(ferretdbPatches));
  const folder = await cached("ferretdb", key, async (building) => {
    log("mongodb: building FerretDB for the first time, which takes a minute or two");
    const work = await mkdtemp(join(tmpdir(), "omni-p2p-ferretdb-"));
    try {
      await build(work, join(building, "ferretdb"));
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
  return join(folder, "ferretdb");
}

async function build(work: string, program: string): Promise<void> {
  await cp(sources, work, { recursive: true });
  const downloaded = JSON.parse(await runProgram("go", ["mod", "download", "-json", module], { cwd: work })) as {
    Dir: string;
  };
  await copyWritable(downloaded.Dir, join(work, "patched"));
  for (const patch of ferretdbPatches) {
    const file = join(work, "patched", patch.file);
    await writeFile(file, applyPatch(await readFile(file, "utf8"), patch));
  }
  await runProgram("go", ["mod", "edit", `-replace=${module}=./patched`], { cwd: work });
  // SQLite comes as Go code, so no C compiler is needed; without the PostgreSQL backend there is less to compile.
  const args = ["build", "-trimpath", "-tags=ferretdb_no_postgresql", "-ldflags=-s -w", "-o", program, "."];
  await runProgram("go", args, { cwd: work, env: { CGO_ENABLED: "0" } });
}

/** Go's module cache is write-protected, and a plain copy would be as well. */
async function copyWritable(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const source = join(entry.parentPath, entry.name);
    const target = join(to, relative(from, source));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, await readFile(source));
  }
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
