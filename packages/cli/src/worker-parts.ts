import { isP2PError, type P2PStarter, type Transform } from "@omni/p2p-core";
import { findStarter } from "./endpoints/installed-starters.ts";
import { loadTransform } from "./transfer/transform-file.ts";

/** What a worker of the command line is made of, as its processes are told it. */
export interface WorkerPartsArgument {
  /** Where starters are looked for first. */
  readonly folder: string;
  /** The storage types of its endpoints. */
  readonly types: readonly string[];
  /** The files of transforms by their names. */
  readonly transforms: Readonly<Record<string, string>>;
}

/** Loads the starters and transforms of a worker, in the command's process and in each that the worker starts. */
export async function workerParts({ folder, types, transforms }: WorkerPartsArgument) {
  const starters: P2PStarter[] = [];
  for (const type of types) {
    try {
      starters.push(await findStarter(type, [folder]));
    } catch (error) {
      // What is not installed here is for other workers, and the worker says so when it is asked for.
      if (!isP2PError(error, "SERVICE_NOT_FOUND")) throw error;
    }
  }
  const loaded: Record<string, Transform> = {};
  for (const [name, file] of Object.entries(transforms)) loaded[name] = (await loadTransform(file)).transform;
  return { starters, transforms: loaded };
}
