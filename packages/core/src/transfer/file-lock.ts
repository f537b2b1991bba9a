import { randomUUID } from "node:crypto";
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { isP2PError } from "../errors.ts";
import { lockedError } from "./checkpoint.ts";

/** Who holds a lock. */
interface LockHolder {
  readonly token: string;
  readonly pid: number;
  readonly host: string;
  /** Start of the process in clock ticks since boot, where the system tells; a pid alone may be used again. */
  readonly started: string | undefined;
}

/** How often a lock is tried for that others are taking over at the same time, and the wait between, in ms. */
const TRIES = 400;
const WAIT_MS = 5;

/**
 * Takes a lock file, also from a process of this machine that has died. A lock held on another machine is never taken
 * over: nobody here can know whether its holder lives.
 *
 * @returns a function that gives the lock back.
 * @throws P2PError `CHECKPOINT_LOCKED`, or what the file system says.
 */
export async function acquireFileLock(file: string, transferId: string): Promise<() => Promise<void>> {
  const me: LockHolder = {
    token: randomUUID(),
    pid: process.pid,
    host: hostname(),
    started: (await statOf(process.pid))?.started,
  };
  const own = `${file}.${me.token}`;
  try {
    await writeFile(own, JSON.stringify(me));
    // A link is made whole or not at all, and fails when the name is taken.
    for (let tries = 0; !(await tryLink(own, file)); tries++) await dropStale(file, transferId, tries);
  } finally {
    await rm(own, { force: true });
  }
  return async () => {
    if (parseHolder(await readText(file))?.token === me.token) await rm(file, { force: true });
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

/**
 * Removes a dead holder's lock. Whoever does so holds a lock for it: of two who have seen the same dead holder the
 * slower would else remove the lock that the faster has taken.
 */
async function dropStale(file: string, transferId: string, tries: number): Promise<void> {
  const text = await readText(file);
  if (text === undefined) return;
  const holder = parseHolder(text);
  if (tries > TRIES || (holder !== undefined && (await isAlive(holder)))) {
    const who = holder ? `by process ${holder.pid} on ${holder.host}` : "elsewhere";
    throw lockedError(transferId, `${who} (if that is gone, delete ${file})`);
  }
  let unlock: () => Promise<void>;
  try {
    unlock = await acquireFileLock(`${file}.stale`, transferId);
  } catch (error) {
    if (!isP2PError(error, "CHECKPOINT_LOCKED")) throw error;
    await sleep(WAIT_MS);
    return;
  }
  try {
    if ((await readText(file)) === text) await rm(file);
  } finally {
    await unlock();
  }
}

/** What the file holds, or `undefined` when there is none. */
async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The holder that a lock names; a file that names none belongs to nobody, since locks are made whole. */
function parseHolder(text: string | undefined): LockHolder | undefined {
  try {
    const holder = JSON.parse(text ?? "") as LockHolder | null;
    const named =
      typeof holder?.token === "string" && Number.isSafeInteger(holder.pid) && typeof holder.host === "string";
    return named ? holder : undefined;
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
  const stat = await statOf(holder.pid);
  // A zombie has ended; only its parent has not asked for its exit code yet.
  if (stat?.state === "Z") return false;
  return stat === undefined || holder.started === undefined || stat.started === holder.started;
}

/**
 * Fields 3 and 22 of `/proc/<pid>/stat` (proc(5)): the state, and the start in clock ticks since boot. The command
 * before them may hold spaces and brackets.
 */
async function statOf(pid: number): Promise<{ state: string; started: string } | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0]!, started: fields[19]! };
  } catch {
    return undefined;
  }
}
