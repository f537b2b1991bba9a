/** A lock file: mutual exclusion between processes. */
import { randomUUID } from "node:crypto";
import { type FileHandle, link, open, readdir, readFile, readlink, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { sleep } from "../../async/sleep.ts";
import { isP2PError, type P2PError } from "../../errors.ts";

/** Who holds a lock. */
interface LockHolder {
  readonly token: string;
  readonly pid: number;
  readonly host: string;
  /** Start of the process in clock ticks since boot, where the system tells; a pid alone may be used again. */
  readonly started: string | undefined;
  /** The boot of the machine and its namespace of process ids, where the system tells: a pid means something there alone. */
  readonly pids?: string | undefined;
}

/** A lock file that this process holds. */
export interface FileLock {
  /**
   * Makes sure that nobody has taken the lock over: a process that was stopped for long may have been taken for dead.
   *
   * @throws the error for a lock that another has.
   */
  assertHeld(): Promise<void>;
  release(): Promise<void>;
}

/** How often a lock is tried for that others are taking over at the same time, and the wait between, in ms. */
const TRIES = 400;
const WAIT_MS = 5;

/** How often a holder gives a sign of life, in ms. */
const BEAT_MS = 1000;

/** How long a holder whose process cannot be looked up must give no sign before it is taken for dead, in ms. */
const SILENCE_MS = 10_000;

/** How often one looks for a sign of life, in ms. */
const LOOK_MS = 100;

/**
 * Takes a lock file, also from a process of this machine that has died.
 *
 * Whether the holder lives is asked of the system where its number means the same there and here. Another container of
 * one host name, or the machine before its last start, has numbers of its own: such a holder is watched, and taken for
 * dead when it gives no sign of life for {@link SILENCE_MS}. Signs are changes of the file's time, whatever time it is, so that no
 * clock matters. A lock held under another host name is never taken over.
 *
 * @param heldBy makes the error for a lock that another has.
 * @throws that error, or what the file system says.
 */
export async function acquireFileLock(
  file: string,
  heldBy: (holder: string) => P2PError,
  silenceMs: number = SILENCE_MS,
): Promise<FileLock> {
  const me: LockHolder = {
    token: randomUUID(),
    pid: process.pid,
    host: hostname(),
    started: (await statOf(process.pid))?.started,
    pids: await pidSpace(),
  };
  const own = `${file}.${me.token}`;
  const handle = await open(own, "wx", 0o600);
  try {
    await handle.writeFile(JSON.stringify(me));
    // A link is made whole or not at all, and fails when the name is taken.
    for (let tries = 0; !(await tryLink(own, file)); tries++) await dropStale(file, heldBy, silenceMs, tries);
  } catch (error) {
    await handle.close();
    throw error;
  } finally {
    await rm(own, { force: true });
  }
  await sweep(file).catch(() => {});
  return new HeldLock(file, me.token, handle, heldBy);
}

/** Removes what processes of this machine left that were killed before their link was made. */
async function sweep(file: string): Promise<void> {
  const prefix = `${basename(file)}.`;
  for (const name of await readdir(dirname(file))) {
    if (!name.startsWith(prefix) || !/^(?:stale\.)?[0-9a-f]{8}-[0-9a-f-]{27}$/.test(name.slice(prefix.length)))
      continue;
    const left = join(dirname(file), name);
    const holder = parseHolder((await look(left))?.text);
    if (holder?.host !== hostname() || holder.pids !== (await pidSpace()) || (await isRunning(holder))) continue;
    await rm(left, { force: true });
  }
}

/** Gives signs of life as long as it holds the file. */
class HeldLock implements FileLock {
  readonly #file: string;
  readonly #token: string;
  /** Of the file itself, whatever is at its name later. */
  readonly #handle: FileHandle;
  readonly #heldBy: (holder: string) => P2PError;
  readonly #timer: NodeJS.Timeout;
  #beaten = performance.now();
  #lost = false;
  #released = false;
  #beating: Promise<void> = Promise.resolve();

  constructor(file: string, token: string, handle: FileHandle, heldBy: (holder: string) => P2PError) {
    this.#file = file;
    this.#token = token;
    this.#handle = handle;
    this.#heldBy = heldBy;
    this.#timer = setInterval(() => {
      this.#beating = this.#beat();
    }, BEAT_MS);
    this.#timer.unref();
  }

  async #beat(): Promise<void> {
    try {
      const now = new Date();
      await this.#handle.utimes(now, now);
      await this.#look();
    } catch {
      // What is wrong with the disk shows where something is written.
    }
  }

  async #look(): Promise<void> {
    const { nlink } = await this.#handle.stat();
    if (nlink === 0) this.#lost = true;
    this.#beaten = performance.now();
  }

  async assertHeld(): Promise<void> {
    if (!this.#lost && !this.#released && performance.now() - this.#beaten > SILENCE_MS / 2) await this.#look();
    if (this.#lost || this.#released) throw this.#heldBy("by another process, which has taken it over meanwhile");
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    clearInterval(this.#timer);
    await this.#beating;
    await this.#handle.close();
    if (parseHolder((await look(this.#file))?.text)?.token === this.#token) await rm(this.#file, { force: true });
  }
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
async function dropStale(
  file: string,
  heldBy: (holder: string) => P2PError,
  silenceMs: number,
  tries: number,
): Promise<void> {
  const seen = await look(file);
  if (seen === undefined) return;
  const holder = parseHolder(seen.text);
  if (tries > TRIES || (holder !== undefined && (await isAlive(holder, file, seen, silenceMs)))) {
    const who = holder ? `by process ${holder.pid} on ${holder.host}` : "elsewhere";
    throw heldBy(`${who} (if that is gone, delete ${file})`);
  }
  let lock: FileLock;
  try {
    lock = await acquireFileLock(`${file}.stale`, heldBy, silenceMs);
  } catch (error) {
    if (!isP2PError(error)) throw error;
    await sleep(WAIT_MS);
    return;
  }
  try {
    if ((await look(file))?.text === seen.text) await rm(file);
  } finally {
    await lock.release();
  }
}

/** A lock file at a moment. */
interface Sight {
  readonly text: string;
  readonly time: number;
}

/** What the file holds, or `undefined` when there is none. Opened each time: a network's file system may else show old times. */
async function look(file: string): Promise<Sight | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const { mtimeMs: time } = await handle.stat();
    return { text: await handle.readFile("utf8"), time };
  } finally {
    await handle.close();
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

async function isAlive(holder: LockHolder, file: string, seen: Sight, silenceMs: number): Promise<boolean> {
  if (holder.host !== hostname()) return true;
  const here = await pidSpace();
  if (holder.pids !== undefined && here !== undefined && holder.pids !== here) {
    return givesSigns(file, seen, silenceMs);
  }
  return isRunning(holder);
}

/** Whether the holder of a lock gives a sign of life, or has given the lock back or over to another. */
async function givesSigns(file: string, seen: Sight, silenceMs: number): Promise<boolean> {
  for (let silent = 0; silent < silenceMs; silent += LOOK_MS) {
    await sleep(Math.min(LOOK_MS, silenceMs));
    const now = await look(file);
    if (now === undefined || now.text !== seen.text) return false;
    if (now.time !== seen.time) return true;
  }
  return false;
}

/** Whether a process of this machine, as this process sees it, is still the one that it was. */
async function isRunning(holder: LockHolder): Promise<boolean> {
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

/** Where numbers of processes mean the same as here, as text that no other machine, boot or container has. */
async function pidSpace(): Promise<string | undefined> {
  try {
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
    return `${boot.trim()} ${await readlink("/proc/self/ns/pid")}`;
  } catch {
    return undefined;
  }
}

/**
 * Fields 3 and 22 of `/proc/<pid>/stat` (proc(5)): the state, and the start in clock ticks since boot. The command
 * before them may hold spaces and brackets. Nothing where `/proc` shows the processes of another namespace than ours.
 */
async function statOf(pid: number): Promise<{ state: string; started: string } | undefined> {
  try {
    if ((await readlink("/proc/self")) !== String(process.pid)) return undefined;
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0]!, started: fields[19]! };
  } catch {
    return undefined;
  }
}
