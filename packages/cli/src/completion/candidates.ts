import { readdirSync } from "node:fs";
import { join } from "node:path";

/** Words with what they mean. */
export type Candidates = readonly (readonly [word: string, meaning: string])[];

/** The names of a config file, and a URL's beginning for each installed starter. */
export async function endpointCandidates(partial: string): Promise<Candidates> {
  if (partial.startsWith("-")) return [];
  const path = /^((?:sqlite|file):)(.*)$/s.exec(partial);
  if (path) return fileCandidates(path[2]!).map(([file]) => [`${path[1]}${file}`, ""]);
  const { listStarters } = await import("../endpoints/installed-starters.ts");
  const types = listStarters().map(({ storageType, packageName }) => [urlStart(storageType), packageName] as const);
  return [...(await names()), ...types];
}

/** Stores that are reached over the network. */
const WITH_HOST: ReadonlySet<string> = new Set(["redis", "mongodb", "elasticsearch", "postgresql"]);

function urlStart(storageType: string): string {
  return WITH_HOST.has(storageType) ? `${storageType}://` : `${storageType}:`;
}

/** A config file with a mistake is no reason for a shell to print an error. */
async function names(): Promise<Candidates> {
  const { findConfig, loadConfig } = await import("../config/load.ts");
  try {
    const file = findConfig();
    if (file === undefined) return [];
    const { endpoints } = await loadConfig(file);
    return Object.keys(endpoints).map((name) => [name, `endpoint in ${file}`]);
  } catch {
    return [];
  }
}

/** The files and folders whose path starts like this. */
export function fileCandidates(partial: string): Candidates {
  const folder = partial.slice(0, partial.lastIndexOf("/") + 1);
  const start = partial.slice(folder.length);
  try {
    return readdirSync(folder === "" ? "." : folder, { withFileTypes: true })
      .filter((entry) => entry.name.startsWith(start) && (start !== "" || !entry.name.startsWith(".")))
      .map((entry) => [`${folder === "" ? "" : join(folder, "/")}${entry.name}${entry.isDirectory() ? "/" : ""}`, ""]);
  } catch {
    return [];
  }
}
