// `node bench/src/mirrors.ts ['sqlite -> sqlite' …]`: what a mirror takes beside the copy and the comparison of the same records, and the
// comparison beside the best reading loop of each side, by turns in one process, after a round that does not count. P2P_BENCH_RECORDS (200000) and P2P_BENCH_ROUNDS (5) set how many.
import assert from "node:assert/strict";
import { DefaultP2PConnectionManager, type P2PConnection, type P2PRecord, parseEndpoint } from "@omni/p2p-core";
import { installedStarters, loadStarter } from "@omni/p2p-core/engine";
import { emptyPlace } from "./empty.ts";
import { readByHand } from "./limits/index.ts";
import { alone } from "./lock.ts";
import { median, timed } from "./measure.ts";
import { type MirrorEntry, readMirrors, saveMirrors } from "./mirror-results.ts";
import { DIRECTIONS, directionName, endpointOf, matchesDirection, type Place } from "./places.ts";
import { writeReports } from "./report/write.ts";
import { thisCommit } from "./results.ts";
import { Servers } from "./servers.ts";
import { SHAPES } from "./shapes.ts";
import { Sources } from "./sources.ts";
import { jobOf, type Subject } from "./subject.ts";

const RECORDS = Number(process.env.P2P_BENCH_RECORDS ?? 200_000);
const ROUNDS = Number(process.env.P2P_BENCH_ROUNDS ?? 5);
/** One in so many records is changed, another missing and another one extra. */
const ONE_IN = 100;
const EACH = Math.floor(RECORDS / ONE_IN);
const mirrored = (connection: P2PConnection) => connection.mirror({}, { deletes: "remove", deadLetters: false });
const patterns = process.argv.slice(2);

const servers = new Servers();
const sources = new Sources(servers);
try {
  for (const { from, to } of DIRECTIONS) {
    const name = directionName(from, to);
    const meant =
      patterns.length === 0 ? name === "sqlite -> sqlite" : patterns.some((one) => matchesDirection(one, name));
    if (!meant || from === "memory") continue;
    const entry = await measured({ from, to, shape: "text", sources, servers });
    saveMirrors([...readMirrors().filter(({ direction }) => direction !== name), entry]);
    writeReports();
    console.log(
      `${name}: verify ${entry.verifyOfRead!.toFixed(2)} of the slower reading loop, mirror ${entry.ofVerify.toFixed(2)} of verify, ${entry.ofCopy.toFixed(2)} of the copy`,
    );
  }
} finally {
  await servers.stop();
}

async function measured(subject: Subject): Promise<MirrorEntry> {
  const { from, to } = await jobOf(subject, RECORDS);
  const reads = { source: [] as number[], target: [] as number[] };
  const taken = { copy: [] as number[], verify: [] as number[], mirror: [] as number[], again: [] as number[] };
  for (let round = -1; round < ROUNDS; round++) {
    await emptyPlace(to);
    const copy = await timedRun(from, to, (connection) => connection.transfer({}, { deadLetters: false }), {
      successCount: RECORDS,
    });
    const verify = await timedRun(from, to, (connection) => connection.verify(), { equal: true });
    const [source, target] = [await timedRead(from), await timedRead(to)];
    await drift(from, to);
    const mirror = await timedRun(from, to, mirrored, { successCount: 2 * EACH, deletedCount: EACH });
    const again = await timedRun(from, to, mirrored, { successCount: 0, deletedCount: 0 });
    if (round < 0) continue;
    reads.source.push(source);
    reads.target.push(target);
    for (const [name, ms] of Object.entries({ copy, verify, mirror, again }))
      taken[name as keyof typeof taken].push(ms);
  }
  await emptyPlace(to);
  const ratio = (a: readonly number[], b: readonly number[]) => median(a.map((ms, round) => ms / b[round]!));
  return {
    direction: directionName(subject.from, subject.to),
    date: new Date().toISOString(),
    commit: thisCommit(),
    records: RECORDS,
    ...taken,
    reads,
    verifyOfCopy: ratio(taken.verify, taken.copy),
    ofVerify: ratio(taken.mirror, taken.verify),
    ofCopy: ratio(taken.mirror, taken.copy),
    againOfVerify: ratio(taken.again, taken.verify),
    verifyOfRead: ratio(
      taken.verify,
      reads.source.map((ms, round) => Math.max(ms, reads.target[round]!)),
    ),
  };
}

/** The time of the best reading loop in ms. */
function timedRead(place: Place): Promise<number> {
  return alone(() => timed(async () => assert.equal(await readByHand(place, SHAPES.text), RECORDS)));
}

/** The time of a run in ms. One that did anything else than what it is measured for is an error. */
async function timedRun<Result extends object>(
  from: Place,
  to: Place,
  run: (connection: P2PConnection) => Promise<Result>,
  expected: Partial<NoInfer<Result>>,
): Promise<number> {
  const manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
  let result: Result | undefined;
  try {
    const ms = await alone(() =>
      timed(async () => {
        result = await run(await manager.establish(endpointOf(from), endpointOf(to)));
      }),
    );
    assert.deepEqual({ ...result, ...expected }, { ...result });
    return ms;
  } finally {
    await manager.close();
  }
}

/** Lets the target fall behind. */
async function drift(from: Place, to: Place): Promise<void> {
  const manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
  const records: P2PRecord[] = [];
  const connection = await manager.establish(endpointOf(from), "memory:drift");
  for await (const batch of connection.read({ limit: 2 * EACH })) records.push(...(batch.records as P2PRecord[]));
  await manager.close();
  const endpoint = parseEndpoint(endpointOf(to));
  const installed = installedStarters(import.meta.dirname).find(({ storageType }) => storageType === to.store)!;
  const { signal } = new AbortController();
  const open = (await loadStarter(installed)).open(endpoint, { role: "target", signal, connectTimeoutMs: 30_000 });
  const store = await open;
  await store.deleteFromTarget!(
    records.slice(0, EACH).map(({ id }) => ({ id })),
    { signal },
  );
  const changed = records.slice(EACH).map((record) => ({ ...record, title: "as it was before" }));
  const extra = records.slice(EACH).map((record) => ({ ...record, id: `left-behind-${String(record.id)}` }));
  await store.writeToTarget([...changed, ...extra], { mode: "upsert", signal });
  await store.close();
}
