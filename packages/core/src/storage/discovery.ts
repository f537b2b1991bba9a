import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { messageOf, P2PError } from "../errors.ts";
import type { P2PStarter } from "./service.ts";

/** A starter among the application's dependencies, not loaded yet. */
export interface InstalledStarter {
  readonly storageType: string;
  readonly packageName: string;
  readonly version: string;
  /** The package's folder. */
  readonly directory: string;
}

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly main?: string;
  readonly exports?: unknown;
  readonly omniP2p?: { readonly storageType?: unknown };
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
}

/**
 * The starters that an application depends on: those of its dependencies whose `package.json` says
 * `"omniP2p": { "storageType": "…" }`. Only the folders of named dependencies are looked at.
 *
 * @param appRoot where to start. Default: the folder of the running script, then the working directory.
 */
export function installedStarters(appRoot?: string): InstalledStarter[] {
  const found = new Map<string, InstalledStarter>();
  for (const root of appRoot === undefined ? defaultRoots() : [appRoot]) {
    for (const manifestFile of manifestsFrom(root)) {
      for (const starter of startersOf(manifestFile)) {
        if (!found.has(starter.storageType)) found.set(starter.storageType, starter);
      }
    }
  }
  return [...found.values()];
}

function defaultRoots(): string[] {
  const script = process.argv[1];
  const roots = [process.cwd()];
  if (script !== undefined && existsSync(script)) {
    const folder = dirname(realpathSync(script));
    // A runner such as vitest or tsx lives in node_modules and says nothing of the application.
    if (!folder.split(sep).includes("node_modules")) roots.unshift(folder);
  }
  return roots;
}

/** The `package.json` files from a folder up to the root of the disk, the nearest first. */
function* manifestsFrom(folder: string): Generator<string> {
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, "package.json");
    if (existsSync(file)) yield file;
    if (dirname(at) === at) return;
  }
}

function startersOf(manifestFile: string): InstalledStarter[] {
  const app = readManifest(manifestFile);
  if (app === undefined) return [];
  const names = new Set(
    [app.dependencies, app.optionalDependencies, app.devDependencies, app.peerDependencies].flatMap((group) =>
      Object.keys(group ?? {}),
    ),
  );
  const lookup = createRequire(manifestFile);
  return [...names].flatMap((name) => {
    for (const modules of lookup.resolve.paths(name) ?? []) {
      const directory = join(modules, name);
      const manifest = readManifest(join(directory, "package.json"));
      if (manifest === undefined) continue;
      const storageType = manifest.omniP2p?.storageType;
      if (typeof storageType !== "string") return [];
      return [
        { storageType, packageName: name, version: manifest.version ?? "0.0.0", directory: realpathSync(directory) },
      ];
    }
    return [];
  });
}

function readManifest(file: string): Manifest | undefined {
  try {
    const manifest: unknown = JSON.parse(readFileSync(file, "utf8"));
    return typeof manifest === "object" && manifest !== null ? (manifest as Manifest) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Loads an installed starter.
 *
 * @throws P2PError `STARTER_INCOMPATIBLE` when the package cannot be loaded or exports no starter of its type.
 */
export async function loadStarter(installed: InstalledStarter): Promise<P2PStarter> {
  const { packageName, storageType, directory } = installed;
  let exported: Record<string, unknown>;
  try {
    exported = (await import(pathToFileURL(entryOf(directory)).href)) as Record<string, unknown>;
  } catch (cause) {
    throw new P2PError(
      "STARTER_INCOMPATIBLE",
      `The installed starter ${packageName} could not be loaded: ${messageOf(cause)}. Install it anew, or see whether its own dependencies are there`,
      { cause },
    );
  }
  const starter = Object.values(exported).find((value) => isStarter(value, storageType));
  if (!starter) {
    throw new P2PError(
      "STARTER_INCOMPATIBLE",
      `${packageName} is marked as the starter for '${storageType}' but exports none`,
    );
  }
  return starter as P2PStarter;
}

function isStarter(value: unknown, storageType: string): boolean {
  const starter = value as Partial<P2PStarter> | null;
  return typeof starter === "object" && starter?.storageType === storageType && typeof starter.open === "function";
}

/** The file that `import` would load for the package in a folder. */
function entryOf(directory: string): string {
  const manifest = readManifest(join(directory, "package.json"));
  const root = (manifest?.exports as Record<string, unknown> | undefined)?.["."] ?? manifest?.exports;
  return join(directory, conditional(root) ?? manifest?.main ?? "index.js");
}

function conditional(target: unknown): string | undefined {
  if (typeof target === "string") return target;
  if (typeof target !== "object" || target === null) return undefined;
  for (const [condition, inner] of Object.entries(target)) {
    if (condition !== "import" && condition !== "node" && condition !== "default") continue;
    const file = conditional(inner);
    if (file !== undefined) return file;
  }
  return undefined;
}
