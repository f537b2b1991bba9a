import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Kills every child of a process, which is stopped first and stays so: it starts no further ones, and its dead ones keep
 * their ids until it is killed in turn, so that no other process is hit. On Linux.
 */
export async function killChildrenOf(parent: number): Promise<void> {
  process.kill(parent, "SIGSTOP");
  const children = (await living()).filter(({ parentPid }) => parentPid === parent).map(({ pid }) => pid);
  for (const pid of children) process.kill(pid, "SIGKILL");
  while ((await living()).some(({ pid }) => children.includes(pid))) await sleep(5);
}

interface RunningProcess {
  readonly pid: number;
  readonly parentPid: number;
}

/** All processes but those that have ended and wait for their parent to take notice. */
async function living(): Promise<RunningProcess[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(pids.map(statusOf));
  return all.flatMap((one) => (one === undefined ? [] : [one]));
}

async function statusOf(pid: string): Promise<RunningProcess | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // "1234 (name) S 1 …", and a name may hold anything, a parenthesis too.
  const [, state = "Z", parentPid = "0"] = /^\d+ .*\) (\S) (\d+)/s.exec(stat) ?? [];
  return state === "Z" || state === "X" ? undefined : { pid: Number(pid), parentPid: Number(parentPid) };
}
