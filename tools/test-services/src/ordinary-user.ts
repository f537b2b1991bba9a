import { stat } from "node:fs/promises";
import { dirname } from "node:path";
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
