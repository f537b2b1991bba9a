import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Does a piece of work while the file that `P2P_BENCH_LOCK` names is locked with flock(1), so that other work on the
 * machine can wait for it. Without the variable the work is just done.
 */
export async function alone<T>(work: () => Promise<T>): Promise<T> {
  const file = process.env.P2P_BENCH_LOCK;
  if (!file) return work();
  const holder = spawn("flock", ["-x", file, "sh", "-c", "echo locked; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await once(holder, "close");
  }
}
