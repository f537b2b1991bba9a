import { isAlive } from "../src/native-cache.ts";

/** Waits until none of the processes exists. */
export async function untilGone(pids: readonly number[], patienceMs = 15_000): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (pids.some(isAlive)) {
    if (Date.now() > deadline) throw new Error(`still running: ${pids.filter(isAlive).join(", ")}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
