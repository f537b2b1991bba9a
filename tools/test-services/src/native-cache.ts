import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const heartbeatMs = 10_000;

/** The folder with the sources of our native programs. */
export const nativeSources: string = fileURLToPath(new URL("../native/", import.meta.url));

/** The folder that keeps built servers from one run to the next: `P2P_TEST_CACHE`, else one in the user's cache home. */
function cacheFolder(): string {
  const { P2P_TEST_CACHE, XDG_CACHE_HOME } = process.env;
  if (P2P_TEST_CACHE) return P2P_TEST_CACHE;
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "omni-p2p", "test-services");
}

/** A short fingerprint of every file below the folder, names and contents, and of the texts given with it. */
export async function fingerprint(folder: string | undefined, ...texts: readonly string[]): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([process.platform, process.arch, ...texts]));
  for (const file of folder ? await filesBelow(folder) : []) {
    hash.update(`\0${relative(folder ?? "", file)}\0`).update(await readFile(file));
  }
  return hash.digest("hex").slice(0, 16);
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/**
 * The folder `name-key` of the cache, built first if it is not there. `build` fills an empty folder, which gets its final
 * name only when it is complete, so that no one ever sees half of it. When several processes ask at once, one builds and
 * the others wait for it.
 */
export async function cached(name: string, key: string, build: (folder: string) => Promise<void>): Promise<string> {
  const cache = cacheFolder();
  const finished = join(cache, `${name}-${key}`);
  const lock = `${finished}.lock`;
  await mkdir(cache, { recursive: true });

  while (!(await exists(finished))) {
    if (!(await take(lock))) {
      await sleep(200);
      continue;
    }
    const heartbeat = setInterval(() => utimes(lock, new Date(), new Date()).catch(() => {}), heartbeatMs);
    try {
      // The one before us may have finished between our look and our lock.
      if (await exists(finished)) continue;
      const building = await mkdtemp(`${finished}.building-`);
      try {
        await build(building);
        await rename(building, finished);
      } finally {
        await rm(building, { recursive: true, force: true });
      }
    } finally {
      clearInterval(heartbeat);
      await rm(lock, { force: true });
    }
  }
  return finished;
}

/** Makes the lock file; false if a living process has it. One that a dead process left behind is removed. */
async function take(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const owner = Number(await readFile(lock, "utf8").catch(() => ""));
  const { mtimeMs } = await stat(lock).catch(() => ({ mtimeMs: Date.now() }));
  // A lock without a heartbeat is dead too: in a container a new process may well have the dead one's id.
  const dead = (owner > 0 && !isAlive(owner)) || Date.now() - mtimeMs > 12 * heartbeatMs;
  if (dead) await rm(lock, { force: true });
  return false;
}

/** Whether a process with this id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
