// `npm run bench`: measures directions between the stores, and keeps what it found.
import { measureDirection, profileDirection } from "./measure-direction.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { directionName } from "./places.ts";
import { printTable } from "./report/table.ts";
import { writeReports } from "./report/write.ts";
import { type Entry, RESULTS_FILE, saveEntry } from "./results.ts";
import { Servers } from "./servers.ts";
import { Places } from "./sources.ts";

/** Records of a profile, where nothing else is asked for. */
const PROFILE_RECORDS = 200_000;

const options = optionsOrUsage();
const servers = new Servers();
const places = new Places(servers);
const entries: Entry[] = [];

try {
  for (const shape of options.shapes) {
    for (const direction of options.directions) {
      const subject = { ...direction, shape, places, servers };
      try {
        if (options.profile) {
          await profileDirection(subject, options.records ?? PROFILE_RECORDS, options.profile);
          continue;
        }
        const entry = await measureDirection(subject, options);
        saveEntry(options.results, entry);
        entries.push(entry);
        console.log(`${entry.direction}, ${shape}: ${entry.ofLimit.toFixed(2)} of the best loop`);
      } catch (error) {
        console.error(`${directionName(direction.from, direction.to)}, ${shape}: ${(error as Error).message}`);
        process.exitCode = 1;
      }
    }
  }
} finally {
  await servers.stop();
}
if (entries.length > 0) printTable(entries);
if (entries.length > 0 && options.results === RESULTS_FILE) writeReports();

function optionsOrUsage(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
