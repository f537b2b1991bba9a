// Measures one direction in one process: ours, the best loop, the usual loop and elasticdump by turns, after a round that
// does not count. `measure-rounds.ts` starts it.
import { rmSync } from "node:fs";
import { Client } from "@elastic/elasticsearch";
import { elasticdump } from "./elasticdump.ts";
import { emptyPlace } from "./empty.ts";
import { type Job, report, thisJob } from "./job.ts";
import { createIndex } from "./limits/elasticsearch.ts";
import { runLimit } from "./limits/index.ts";
import { alone } from "./lock.ts";
import { timed } from "./measure.ts";
import { runOurs } from "./ours.ts";
import type { Place } from "./places.ts";
import { SHAPES } from "./shapes.ts";
import { fillMemory } from "./sources.ts";
import { runUsual, type Stretch } from "./usual/run.ts";

/** What elasticdump copies: an index's URL or a file on either side. */
export interface Dump {
  readonly input: string;
  readonly output: string;
  /** The index that it writes, if it writes one. */
  readonly index?: Place;
}

/** The job of this file. */
export interface RoundsJob extends Job {
  readonly rounds: number;
  /** How long the usual loop runs in each round. */
  readonly usualMs: number;
  readonly dump?: Dump;
}

/** What it reports: what each round took. */
export interface Rounds {
  readonly ours: number[];
  readonly limit: number[];
  readonly usual: Stretch[];
  readonly elasticdump: number[];
}

const { from, to, shape: shapeName, file, rounds, usualMs, dump } = thisJob<RoundsJob>();
const shape = SHAPES[shapeName];
const taken: Rounds = { ours: [], limit: [], usual: [], elasticdump: [] };

async function ours(): Promise<number> {
  await emptyPlace(to);
  return alone(() => timed(() => runOurs(from, to)));
}

async function limit(): Promise<number> {
  await emptyPlace(to);
  return alone(() => timed(() => runLimit(from, to, shape)));
}

async function usual(): Promise<Stretch> {
  await emptyPlace(to);
  return alone(() => runUsual(from, to, shape, usualMs));
}

async function dumped({ input, output, index }: Dump): Promise<number> {
  if (index) {
    await emptyPlace(index);
    const client = new Client({ node: index.server });
    await createIndex(client, index.name, shape);
    await client.close();
  } else rmSync(output, { force: true });
  return alone(() => timed(() => elasticdump(input, output)));
}

await fillMemory(from, file, shapeName, ["ours", "limit"]);
await limit();
await ours();
for (let round = 0; round < rounds; round++) {
  // Whoever goes first leaves the other a warmer or a fuller machine, so they take turns at that too.
  if (round % 2 === 0) taken.limit.push(await limit());
  taken.ours.push(await ours());
  if (round % 2 === 1) taken.limit.push(await limit());
  taken.usual.push(await usual());
  if (dump) taken.elasticdump.push(await dumped(dump));
}
await emptyPlace(to);
report(taken);
