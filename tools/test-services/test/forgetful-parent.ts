// Run by orphans.test.ts: starts the servers named to it, prints their process ids, and stops none of them.
import { type ServiceKind, startService } from "../src/index.ts";

const [mode, ...kinds] = process.argv.slice(2) as ["wait" | "finish", ...ServiceKind[]];
const services = await Promise.all(kinds.map((kind) => startService(kind, { exclusive: true, log: () => {} })));
console.log(JSON.stringify(services.flatMap(({ pid }) => (pid === undefined ? [] : [pid]))));
if (mode === "wait") setInterval(() => {}, 60_000);
