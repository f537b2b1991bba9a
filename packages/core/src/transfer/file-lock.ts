import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, unlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { lockedError } from "./checkpoint.ts";

/** Who holds a lock. */
interface LockHolder {
  readonly token: string;
  readonly pid: number;
  readonly host: string;
  /** Start of the process in clock ticks since boot, where the system tells; a pid alone may be used again. */
  readonly started: string | undefined;
}

/**
 * Takes a lock file, also from a process of this machine that has died. A lock held on another machine is never taken
 * over: nobody here can know whether its holder lives.
 *
 * @returns a function that gives the lock back.
 * @throws P2PError `CHECKPOINT_LOCKED`
 */
export async function acquireFileLock(file: string, transferId: string): Promise<() => Promise<void>> {
  const me: LockHolder = {
    token: randomUUID(),
    pid: process.pid,
    host: hostname(),
    started: await startOf(process.pid),
  };
  const own = `${file}.${me.token}`;
  await writeFile(own, JSON.stringify(me));
  try {
    // A link is made whole or not at all, and fails when the name is taken.
    while (!(await tryLink(own, file))) {
      const holder = await readHolder(file);
      if (holder !== undefined && (await isAlive(holder))) {
        throw lockedError(transferId, `by process ${holder.pid} on ${holder.host} (if that is gone, delete ${file})`);
      }
      await dropStale(file, holder);
    }
  } finally {
    await rm(own, { force: true });
  }
  return async () => {
    if ((await readHolder(file))?.token === me.token) await rm(file, { force: true });
  };
}

async function tryLink(own: string, file: string): Promise<boolean> {
  try {
    await link(own, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Moves a dead holder's lock away, unless it has been taken over by another process in the meantime. */
async function dropStale(file: string, stale: LockHolder | undefined): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
  } catch {
    return;
  }
  if ((await readHolder(aside))?.token !== stale?.token) await tryLink(aside, file);
  await unlink(aside);
}

async function readHolder(file: string): Promise<LockHolder | undefined> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as LockHolder;
  } catch {
    return undefined;
  }
}

async function isAlive(holder: LockHolder): Promise<boolean> {
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const started = await startOf(holder.pid);
  return started === undefined || holder.started === undefined || started === holder.started;
}

/** Field 22 of `/proc/<pid>/stat` (proc(5)); the command before it may hold spaces and brackets. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
