import { rmSync } from "node:fs";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "./at-exit.ts";
import { isAlive } from "./native-cache.ts";

const prefix = "omni-p2p-test-service-";
const hour = 3_600_000;

/** A temporary folder for the data of one server. */
export interface DataFolder {
  readonly path: string;
  /** Removes it now, and not only when this process exits. */
  remove(): Promise<void>;
}

/** Makes an empty temporary folder. */
export async function makeDataFolder(): Promise<DataFolder> {
  await sweep();
  const path = await mkdtemp(join(tmpdir(), `${prefix}${process.pid}-`));
  const forget = atExit(() => rmSync(path, { recursive: true, force: true }));
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
      forget();
    },
  };
}

/** Removes what processes that were killed could not remove themselves. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : Number.NaN;
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    const folder = join(tmpdir(), name);
    // The owner of a young folder may live in another container that shares this temporary folder.
    const age = await stat(folder).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    // Another user's is for that user to remove.
    if (age > hour) await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}
