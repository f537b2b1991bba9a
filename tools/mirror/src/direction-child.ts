// One measured run of a direction, in a process of its own: direction-child.ts <verify|mirror> <source> <target> <records> <round>.
// A memory store lives in this process, so it is filled here. Prints one line of JSON.
import { drift, fill } from "./drift.ts";
import { runMirror, runVerify } from "./runs.ts";
import { openStore } from "./stores.ts";

const [what, source, target, records, round] = process.argv.slice(2) as [string, string, string, string, string];

for (const place of [source, target].filter((one) => one.startsWith("memory:"))) {
  const store = await openStore(place);
  await fill(store, Number(records));
  if (place === target) await drift(store, Number(records), Number(round));
  await store.close();
}
console.log(JSON.stringify(await (what === "verify" ? runVerify : runMirror)(source, target)));
