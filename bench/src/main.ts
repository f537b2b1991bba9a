// `npm run bench`: measures directions between the stores, and keeps what it found.
import { measureGrowth } from "./measure-growth.ts";
import { measureRounds } from "./measure-rounds.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { directionName } from "./places.ts";
import { profileDirection } from "./profile.ts";
import { printTable } from "./report/table.ts";
import { writeReports } from "./report/write.ts";
import { type Entry, entryIn, isOfThisMachine, RESULTS_FILE, readResults, saveEntry } from "./results.ts";
import { Servers } from "./servers.ts";
import { Sources } from "./sources.ts";
import type { Subject } from "./subject.ts";

/** Records of a profile, where nothing else is asked for. */
const PROFILE_RECORDS = 200_000;

const options = optionsOrUsage();
const servers = new Servers();
const sources = new Sources(servers);
const measured: Entry[] = [];

try {
  for (const shape of options.shapes) {
    for (const direction of options.directions) {
      const subject = { ...direction, shape, sources, servers };
      const name = directionName(direction.from, direction.to);
      try {
        if (options.profile) await profileDirection(subject, options.records ?? PROFILE_RECORDS, options.profile);
        else measured.push(await measure(subject, name));
      } catch (error) {
        console.error(`${name}, ${shape}: ${(error as Error).message}`);
        process.exitCode = 1;
      }
    }
  }
} finally {
  await servers.stop();
}
if (measured.length > 0) printTable(measured);

async function measure(subject: Subject, name: string): Promise<Entry> {
  const rounds = options.rounds > 0 ? await measureRounds(subject, options) : earlierRounds(subject, name);
  keep(rounds);
  console.log(`${name}, ${subject.shape}: ${rounds.ofLimit.toFixed(2)} of the best loop`);
  if (!options.growth) return rounds;
  const entry = { ...rounds, growth: await measureGrowth(subject, rounds, options.records) };
  keep(entry);
  return entry;
}

function keep(entry: Entry): void {
  saveEntry(options.results, entry);
  // Charts and page never tell of anything but the results beside them.
  if (options.results === RESULTS_FILE) writeReports();
}

function earlierRounds({ shape }: Subject, name: string): Entry {
  const results = readResults(options.results);
  const entry = entryIn(results, name, shape);
  if (entry === undefined) throw new Error("without rounds, growth can only be added to earlier results");
  if (!isOfThisMachine(entry, results)) throw new Error("its rounds were run on another machine; run them here, too");
  return entry;
}

function optionsOrUsage(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
