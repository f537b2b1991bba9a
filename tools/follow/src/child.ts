// One follower in a process of its own, to be killed: child.ts <source> <target> <transfer id> <state folder>. It prints what watched-follow.ts
// tells, a JSON object a line. With `--expose-gc` it tells of its memory too.
import { type Told, watchedFollow } from "./watched-follow.ts";

/** How often memory is looked at, in ms. */
const MEMORY_MS = 5000;

const [source, target, transferId, folder] = process.argv.slice(2) as [string, string, string, string];
const tell = (told: Told) => process.stdout.write(`${JSON.stringify(told)}\n`);
// The proof was ended before its followers.
process.stdout.on("error", () => process.exit(1));

const { handle, close } = await watchedFollow({ source, target, transferId, folder }, tell);
const memory = setInterval(() => {
  if (!globalThis.gc) return;
  globalThis.gc();
  const { heapUsed, rss } = process.memoryUsage();
  tell({ memory: { heap: heapUsed, rss } });
}, MEMORY_MS);
process.once("SIGTERM", () => void handle.stop());
try {
  await handle.done;
} catch (error) {
  tell({ error: (error as Error).message });
  process.exitCode = 1;
} finally {
  clearInterval(memory);
  await close();
}
