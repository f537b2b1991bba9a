import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sourceFile, workFolder } from "./data.ts";
import { elasticdump } from "./elasticdump.ts";
import { emptyPlace } from "./empty.ts";
import { inFreshProcess, type Job } from "./job.ts";
import { median } from "./measure.ts";
import type { Once, OnceJob } from "./once.ts";
import { directionName, type Place, type Store } from "./places.ts";
import { profileName, profileSummary } from "./profile-summary.ts";
import { type Entry, type Growth, thisCommit } from "./results.ts";
import type { Dump, Rounds, RoundsJob } from "./rounds.ts";
import type { Servers } from "./servers.ts";
import type { ShapeName } from "./shapes.ts";
import type { Places } from "./sources.ts";

/** Records that a direction is measured with: as many as its round of ours has time for. */
const SIZES = [200_000, 100_000, 50_000, 20_000] as const;
const ROUND_MS = 12_000;

/** Times as many records to grow to: as many as there is time for, to move them and to fill the source. */
const FACTORS = [10, 5, 2] as const;
const GROWTH_MS = 240_000;

/** How long the usual loop runs in a round. */
const USUAL_MS = 2000;

/** What a run was asked for. */
export interface Wishes {
  /** Default: by a trial. */
  readonly records: number | undefined;
  readonly rounds: number;
  readonly growth: boolean;
}

/** What is to be measured, and where. */
export interface Subject {
  readonly from: Store;
  readonly to: Store;
  readonly shape: ShapeName;
  readonly places: Places;
  readonly servers: Servers;
}

/** Measures one direction with one shape. */
export async function measureDirection(subject: Subject, wishes: Wishes): Promise<Entry> {
  const { from, to, shape, servers } = subject;
  const records = wishes.records ?? (await affordableRecords(subject));
  const job = await jobOf(subject, records);
  const dump = await dumpOf(subject, job, records);
  const taken = await inFreshProcess<Rounds, RoundsJob>("rounds", {
    ...job,
    rounds: wishes.rounds,
    usualMs: USUAL_MS,
    ...(dump && { dump }),
  });
  const rate = (round: number) => (records * 1000) / taken.ours[round]!;
  const usual = taken.usual.map((stretch) => (stretch.records * 1000) / stretch.ms);
  const products = await Promise.all([...new Set([from, to])].map((store) => servers.product(store)));
  return {
    direction: directionName(from, to),
    shape,
    date: new Date().toISOString(),
    commit: thisCommit(),
    servers: products.filter((product) => product !== undefined),
    records,
    ours: taken.ours,
    limit: taken.limit,
    ...(dump && { elasticdump: { what: dump.what, ms: taken.elasticdump } }),
    usual: { records: taken.usual.map((stretch) => stretch.records), recordsPerSecond: usual },
    ofLimit: median(taken.ours.map((ms, round) => taken.limit[round]! / ms)),
    timesUsual: median(usual.map((usually, round) => rate(round) / usually)),
    ...(dump && { timesElasticdump: median(taken.ours.map((ms, round) => taken.elasticdump[round]! / ms)) }),
    recordsPerSecond: Math.round((records * 1000) / median(taken.ours)),
    ...(wishes.growth && { growth: await growthOf(subject, records, median(taken.ours)) }),
  };
}

/** Writes CPU profiles of ours and of the best loop, and beside each what its process was busy with. */
export async function profileDirection(subject: Subject, records: number, folder: string): Promise<void> {
  const job = await jobOf(subject, records);
  for (const which of ["ours", "limit"] as const) {
    const name = profileName(which, directionName(subject.from, subject.to), subject.shape);
    const profile = join(folder, `${name}.cpuprofile`);
    const flags = ["--cpu-prof", `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${name}.cpuprofile`];
    const { ms } = await once(job, which, flags);
    const rate = `${Math.round((records * 1000) / ms).toLocaleString("en")} records/s`;
    writeFileSync(join(folder, `${name}.txt`), `${rate}; ${profileSummary(readFileSync(profile, "utf8"))}`);
    console.log(`${profile}: ${rate}`);
  }
}

async function affordableRecords(subject: Subject): Promise<number> {
  const smallest = SIZES.at(-1)!;
  const { ms } = await once(await jobOf(subject, smallest), "ours");
  return SIZES.find((size) => (ms * size) / smallest <= ROUND_MS) ?? smallest;
}

async function growthOf(subject: Subject, records: number, ms: number): Promise<Growth> {
  const filling = subject.places.fillMs(subject.from, subject.shape, records);
  const factor = FACTORS.find((times) => Math.max(ms, filling) * times <= GROWTH_MS) ?? FACTORS.at(-1)!;
  const small = await once(await jobOf(subject, records), "ours");
  const grown = await jobOf(subject, records * factor);
  const large = await once(grown, "ours");
  const loop = await once(grown, "limit");
  return {
    factor,
    timePerRecord: large.ms / factor / small.ms,
    peakMb: small.peakMb,
    peakMbGrown: large.peakMb,
    peakMbOfLimit: loop.peakMb,
    timerP99: Math.max(small.timerP99, large.timerP99),
  };
}

async function once(job: Job, which: OnceJob["which"], flags: readonly string[] = []): Promise<Once> {
  await emptyPlace(job.to);
  const result = await inFreshProcess<Once, OnceJob>("once", { ...job, which }, flags);
  await emptyPlace(job.to);
  return result;
}

async function jobOf({ from, to, shape, places }: Subject, records: number): Promise<Job> {
  return {
    from: await places.source(from, shape, records),
    to: await places.target(to),
    shape,
    file: sourceFile(shape, records),
  };
}

/** What elasticdump can do of a direction: it knows Elasticsearch and files, which are compared with SQLite here. */
async function dumpOf(
  { from, to, shape, places }: Subject,
  job: Job,
  records: number,
): Promise<(Dump & { readonly what: string }) | undefined> {
  const indexUrl = ({ server, name }: Place) => new URL(`/${name}`, server).href;
  const file = join(workFolder, "elasticdump.ndjson");
  switch (directionName(from, to)) {
    case "elasticsearch -> elasticsearch":
      return { what: "index to index", input: indexUrl(job.from), output: indexUrl(job.to), index: job.to };
    case "elasticsearch -> sqlite":
      return { what: "index to file", input: indexUrl(job.from), output: file };
    case "sqlite -> elasticsearch": {
      const input = join(workFolder, `elasticdump-${shape}-${records}.ndjson`);
      await elasticdump(indexUrl(await places.source("elasticsearch", shape, records)), input);
      return { what: "file to index", input, output: indexUrl(job.to), index: job.to };
    }
    default:
      return undefined;
  }
}
