// Runs one direction once, ours or the best loop, alone in its process, and prints what only a fresh process can tell: time, peak memory and
// how late timers were. `main.ts` starts it.
import { sourceFile } from "./data.ts";
import { directions } from "./directions.ts";
import { watchTimers } from "./measure.ts";

const [name, records, which] = process.argv.slice(2);
const direction = directions.find((candidate) => candidate.name === name)!;
const file = sourceFile(Number(records));
const timers = watchTimers();
const start = performance.now();
await (which === "limit" ? direction.limit(file) : direction.ours(file));
const ms = performance.now() - start;
const timerP99 = timers();
// maxRSS is in kilobytes: getrusage(2), as Node passes it on.
console.log(JSON.stringify({ ms, peakMb: process.resourceUsage().maxRSS / 1024, timerP99 }));
