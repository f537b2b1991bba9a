/** Service discovery: starters among the dependencies of the application. */
import { existsSync, lstatSync, readFileSync, realpathSync } from "node:fs";
import * as nodeModule from "node:module";
import { basename, dirname, join, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { messageOf, P2PError } from "../errors.ts";
import { type InstalledStarter, noteStarter } from "./origins.ts";
import type { P2PStarter } from "./service.ts";

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

/** Where starters may be from: the nearest project alone, or the folders above it too, as in a monorepo. */
export type StarterScope = "project" | "above";

/** What a search found, and what it left alone. */
export interface StarterSearch {
  readonly found: readonly InstalledStarter[];
  /** Starters that are there and were not taken, each with the reason. */
  readonly refused: readonly { readonly storageType: string; readonly reason: string }[];
  /** The folder of the nearest project, if there is one. */
  readonly project: string | undefined;
}

/** A folder from which code runs already needs no further trust. */
interface SearchRoot {
  readonly folder: string;
  readonly scope: StarterScope;
  readonly running: boolean;
}

/**
 * The starters that an application depends on: those of its dependencies whose `package.json` says
 * `"omniP2p": { "storageType": "…" }`. Only the folders of named dependencies are looked at, and nothing that belongs to
 * another user (but root) or that others may write: what is found is code that will be run.
 *
 * @param appRoot where to start. Default: the folder of the running script, then the project of the working directory.
 * @param scope how far to look from there. Default: also the folders above, as in a monorepo.
 */
export function installedStarters(appRoot?: string, scope: StarterScope = "above"): InstalledStarter[] {
  return [...searchStarters(appRoot, scope).found];
}

/** {@link installedStarters}, with what it left alone. */
export function searchStarters(appRoot?: string, scope: StarterScope = "above"): StarterSearch {
  const found = new Map<string, InstalledStarter>();
  const refused: { storageType: string; reason: string }[] = [];
  let project: string | undefined;
  for (const root of appRoot === undefined ? defaultRoots() : [{ folder: appRoot, scope, running: false }]) {
    for (const { file, trusted } of manifestsFrom(root)) {
      project ??= dirname(file);
      for (const { starter, distrust } of startersOf(file, trusted)) {
        if (distrust !== undefined) refused.push({ storageType: starter.storageType, reason: distrust });
        else if (!found.has(starter.storageType)) found.set(starter.storageType, starter);
      }
    }
  }
  return { found: [...found.values()], refused, project };
}

function defaultRoots(): SearchRoot[] {
  const script = process.argv[1];
  const roots: SearchRoot[] = [{ folder: process.cwd(), scope: "project", running: false }];
  if (script !== undefined && existsSync(script)) {
    const folder = dirname(realpathSync(script));
    // A runner such as vitest or tsx lives in node_modules and says nothing of the application.
    if (!folder.split(sep).includes("node_modules")) roots.unshift({ folder, scope: "above", running: true });
  }
  return roots;
}

/** The `package.json` files from a folder up to the root of the disk, the nearest first, as far as the scope goes. */
function* manifestsFrom({ folder, scope, running }: SearchRoot): Generator<{ file: string; trusted: boolean }> {
  // A package that asks for its neighbours runs from there already; what lies above its project is none of its business.
  const parts = folder.split(sep);
  const modules = parts.indexOf("node_modules");
  const top = modules < 0 ? undefined : parts.slice(0, modules).join(sep) || sep;
  let trusted = running || top !== undefined;
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, "package.json");
    if (existsSync(file)) {
      yield { file, trusted };
      const named = isProject(file);
      if (named && scope === "project") return;
      // The nearest one is the running script's own.
      if (named && top === undefined) trusted = false;
    }
    if (at === top || dirname(at) === at) return;
  }
}

/** `{ "type": "module" }` in a folder of built files makes no project of it. */
function isProject(file: string): boolean {
  const { name, dependencies, devDependencies, optionalDependencies, peerDependencies } = readManifest(file) ?? {};
  const groups = [name, dependencies, devDependencies, optionalDependencies, peerDependencies];
  return groups.some((group) => group !== undefined);
}

/** A dependency that is a starter, and why it is not to be loaded. */
interface Dependency {
  readonly starter: InstalledStarter;
  readonly distrust: string | undefined;
}

function startersOf(manifestFile: string, trusted: boolean): Dependency[] {
  const app = readManifest(manifestFile);
  if (app === undefined) return [];
  const project = dirname(manifestFile);
  const distrust = trusted ? undefined : (distrustOf(manifestFile) ?? distrustOf(project));
  const names = new Set(
    [app.dependencies, app.optionalDependencies, app.devDependencies, app.peerDependencies].flatMap((group) =>
      Object.keys(group ?? {}),
    ),
  );
  return [...names].flatMap((name) => {
    for (const { directory, modules } of placesOf(name, project)) {
      const manifest = readManifest(join(directory, "package.json"));
      if (manifest === undefined) continue;
      const storageType = manifest.omniP2p?.storageType;
      if (typeof storageType !== "string") return [];
      const starter = {
        ...{ storageType, packageName: name, version: manifest.version ?? "0.0.0" },
        directory: realpathSync(directory),
      };
      // A link in a trusted folder may lead anywhere: whoever made it meant it.
      const own = trusted || modules === undefined ? undefined : (distrustOf(modules) ?? distrustOf(directory));
      return [{ starter, distrust: distrust ?? own }];
    }
    return [];
  });
}

/**
 * Where a dependency may lie: where Yarn's Plug'n'Play says, or in a `node_modules` of the project's folder or above. The
 * folders are named here, since a bundler that sees `createRequire` puts its own in the place.
 */
function* placesOf(name: string, project: string): Generator<{ directory: string; modules?: string }> {
  const plugged = pnpFolder(name, project);
  if (plugged !== undefined) yield { directory: plugged };
  for (let at = project; ; at = dirname(at)) {
    const modules = join(at, "node_modules");
    if (basename(at) !== "node_modules") yield { directory: join(modules, name), modules };
    if (dirname(at) === at) return;
  }
}

/** The part of Yarn's Plug'n'Play that is asked here. */
interface PnpApi {
  resolveToUnqualified(request: string, issuer: string): string | null;
}

function pnpFolder(name: string, project: string): string | undefined {
  const { findPnpApi } = nodeModule as { findPnpApi?: (file: string) => PnpApi | null };
  try {
    return findPnpApi?.(join(project, "package.json"))?.resolveToUnqualified(name, join(project, sep)) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Set to a project's folder, it says that what lies there may be run whoever owns it: in a container, for instance. */
const TRUST_VARIABLE = "OMNI_P2P_TRUSTED_PROJECT";

/**
 * Why code that was found here, and named by nobody, is not to be run: it belongs to another user (but root), or others
 * can write it.
 *
 * @returns a reason with the way out; `undefined` where it may be run, and always on Windows.
 */
export function distrustOf(path: string): string | undefined {
  if (process.platform === "win32" || process.geteuid === undefined) return undefined;
  const given = process.env[TRUST_VARIABLE];
  if (given !== undefined && (path === resolve(given) || path.startsWith(resolve(given) + sep))) return undefined;
  const { uid, gid, mode } = lstatSync(path);
  const way = `; if it may be run, set ${TRUST_VARIABLE} to the project's folder`;
  if (uid !== 0 && uid !== process.geteuid()) return `${path} belongs to another user${way}`;
  // A link has no rights of its own; in a folder with the sticky bit nobody replaces what others own.
  if ((mode & 0o170000) === 0o120000 || mode & 0o1000) return undefined;
  // A group of the same number is the user's private one, which many systems let write.
  if (mode & 0o002 || (mode & 0o020 && gid !== uid)) return `${path} can be written by other users${way}`;
  return undefined;
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
    exported = (await import(/* webpackIgnore: true */ pathToFileURL(entryOf(directory)).href)) as Record<
      string,
      unknown
    >;
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
  noteStarter(starter as P2PStarter, installed);
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
