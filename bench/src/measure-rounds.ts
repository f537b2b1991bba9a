import { join } from "node:path";
import { workFolder } from "./data.ts";
import { elasticdump } from "./elasticdump.ts";
import { inFreshProcess, type Job } from "./job.ts";
import { median } from "./measure.ts";
import { directionName, type Place } from "./places.ts";
import { type Entry, thisCommit } from "./results.ts";
import type { Dump, Rounds, RoundsJob } from "./rounds.ts";
import { jobOf, runOnce, type Subject } from "./subject.ts";

/** Records that a direction is measured with: as many as its round of ours has time for. */
const SIZES = [200_000, 100_000, 50_000, 20_000] as const;
const ROUND_MS = 12_000;

/** How long the usual loop runs in a round. */
const USUAL_MS = 2000;

/** How it is to be measured. */
export interface Wishes {
  /** Default: by a trial. */
  readonly records: number | undefined;
  readonly rounds: number;
}

/** Measures ours beside the loops, and elasticdump where it can do the direction. */
export async function measureRounds(subject: Subject, wishes: Wishes): Promise<Entry> {
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
  };
}

async function affordableRecords(subject: Subject): Promise<number> {
  const smallest = SIZES.at(-1)!;
  const { ms } = await runOnce(await jobOf(subject, smallest), "ours");
  return SIZES.find((size) => (ms * size) / smallest <= ROUND_MS) ?? smallest;
}

/** What elasticdump can do of a direction: it knows Elasticsearch and files, which are compared with SQLite here. */
async function dumpOf(
  { from, to, shape, sources }: Subject,
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
      await elasticdump(indexUrl(await sources.get("elasticsearch", shape, records)), input);
      return { what: "file to index", input, output: indexUrl(job.to), index: job.to };
    }
    default:
      return undefined;
  }
}
