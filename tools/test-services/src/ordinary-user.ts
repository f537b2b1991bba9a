import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runProgram, type User } from "./run-program.ts";

/** `nobody` of every Linux. */
const nobody: User = { uid: 65_534, gid: 65_534 };

/** The user for a server that root must not start; `undefined` where we are an ordinary user ourselves. */
export function ordinaryUser(): User | undefined {
  return process.getuid?.() === 0 ? nobody : undefined;
}

/** Gives everything below the folder to the user. */
export async function giveTo({ uid, gid }: User, folder: string): Promise<void> {
  await runProgram("chown", ["-R", `${uid}:${gid}`, folder]);
}

/** The first folder on the way to this one, itself included, that others than its owner cannot enter. */
export async function closedToOthers(folder: string): Promise<string | undefined> {
  if (((await stat(folder)).mode & 0o001) === 0) return folder;
  const parent = dirname(folder);
  return parent === folder ? undefined : closedToOthers(parent);
}

/**
 * The folder of programs where the user of a server can run them: some servers refuse to be root, so that root starts them
 * as another user, who cannot look into root's cache; then they are copied beside the data.
 */
export async function withinReach(programs: string, dataFolder: string, product: string): Promise<string> {
  if (ordinaryUser() === undefined) return programs;
  const closed = await closedToOthers(dirname(dataFolder));
  if (closed !== undefined) {
    throw new Error(
      `root starts ${product} as another user, who cannot enter ${closed}: let TMPDIR name a folder that all can`,
    );
  }
  if ((await closedToOthers(programs)) === undefined) return programs;
  const copy = join(dataFolder, "programs");
  await runProgram("cp", ["-a", programs, copy]);
  return copy;
}
