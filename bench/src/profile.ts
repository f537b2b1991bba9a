import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { directionName } from "./places.ts";
import { profileName, profileSummary } from "./profile-summary.ts";
import { jobOf, runOnce, type Subject } from "./subject.ts";

/** Writes CPU profiles of ours and of the best loop, and beside each what its process was busy with. */
export async function profileDirection(subject: Subject, records: number, folder: string): Promise<void> {
  const job = await jobOf(subject, records);
  for (const which of ["ours", "limit"] as const) {
    const name = profileName(which, directionName(subject.from, subject.to), subject.shape);
    const profile = join(folder, `${name}.cpuprofile`);
    const flags = ["--cpu-prof", `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${name}.cpuprofile`];
    const { ms } = await runOnce(job, which, flags);
    const rate = `${Math.round((records * 1000) / ms).toLocaleString("en")} records/s`;
    writeFileSync(join(folder, `${name}.txt`), `${rate}; ${profileSummary(readFileSync(profile, "utf8"))}`);
    console.log(`${profile}: ${rate}`);
  }
}
