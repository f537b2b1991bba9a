import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { isP2PError, type P2PStarter } from "@omni/p2p-core";
import {
  deadLetterStarter,
  type InstalledStarter,
  installedStarters,
  StarterRegistry,
  type StarterScope,
} from "@omni/p2p-core/engine";

/**
 * Where starters are looked for: the project that owns the working directory; the folder of the config file; then
 * wherever this command was installed, which makes `npx -p @omni/p2p-cli -p @omni/p2p-starter-sqlite omni-p2p …` work
 * from any folder. Folders above the working directory's project may be anybody's.
 */
function roots(more: readonly string[]): (readonly [folder: string, scope: StarterScope])[] {
  const here = dirname(fileURLToPath(import.meta.url));
  return [[process.cwd(), "project"], ...more.map((folder) => [folder, "above"] as const), [here, "above"]];
}

/**
 * The starter of a storage type.
 *
 * @throws P2PError `SERVICE_NOT_FOUND`, or `STARTER_INCOMPATIBLE`.
 */
export async function findStarter(storageType: string, folders: readonly string[]): Promise<P2PStarter> {
  if (storageType === deadLetterStarter.storageType) return deadLetterStarter;
  let missing: unknown;
  for (const [folder, scope] of roots(folders)) {
    try {
      return await new StarterRegistry(folder, scope).resolve(storageType);
    } catch (error) {
      if (!isP2PError(error, "SERVICE_NOT_FOUND")) throw error;
      missing ??= error;
    }
  }
  throw missing;
}

/** Every starter that {@link findStarter} would find, by storage type. */
export function listStarters(): InstalledStarter[] {
  const found = new Map<string, InstalledStarter>();
  for (const [folder, scope] of roots([])) {
    for (const starter of installedStarters(folder, scope)) {
      if (!found.has(starter.storageType)) found.set(starter.storageType, starter);
    }
  }
  return [...found.values()].sort((a, b) => (a.storageType < b.storageType ? -1 : 1));
}
