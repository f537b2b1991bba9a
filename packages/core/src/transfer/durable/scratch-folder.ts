/** Scratch folders for what a run spills to disk: in the temporary folder, for this user alone, and swept when a run was killed. */
import { lstat, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What spills. */
export type Purpose = "verify" | "mirror";

/** After this time a folder that nobody has written into was left by a killed run, in ms: no clock is off by so much. */
const LEFT_MS = 24 * 3600 * 1000;

/** A new folder. Those of the same purpose that killed runs of this user have left are removed first. */
export async function scratchFolder(purpose: Purpose): Promise<string> {
  const prefix = `omni-p2p-${purpose}-`;
  await sweep(tmpdir(), prefix).catch(() => {});
  return mkdtemp(join(tmpdir(), prefix));
}

async function sweep(above: string, prefix: string): Promise<void> {
  for (const name of await readdir(above)) {
    if (!name.startsWith(prefix)) continue;
    const folder = join(above, name);
    const found = await lstat(folder);
    if (!found.isDirectory() || found.uid !== process.getuid?.()) continue;
    const files = await Promise.all((await readdir(folder)).map((file) => lstat(join(folder, file))));
    const written = Math.max(found.mtimeMs, ...files.map(({ mtimeMs }) => mtimeMs));
    if (Date.now() - written > LEFT_MS) await rm(folder, { recursive: true, force: true });
  }
}
