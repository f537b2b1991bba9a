import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The repository's root. */
export const root = join(import.meta.dirname, "..", "..", "..");

/** A package that is published from this repository. */
export interface PublishedPackage {
  readonly name: string;
  readonly folder: string;
}

/** All packages below `packages/`; none of them is private. */
export function publishedPackages(): PublishedPackage[] {
  return readdirSync(join(root, "packages")).map((name) => {
    const folder = join(root, "packages", name);
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name: string };
    return { name: manifest.name, folder };
  });
}

/** The version of pnpm that the repository pins. */
function pinnedPnpm(): string {
  return (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { packageManager: string }).packageManager;
}

/**
 * Packs a package as it would be published.
 *
 * @returns the tarball's path.
 */
export async function pack(folder: string, into: string): Promise<string> {
  mkdirSync(into, { recursive: true });
  const { stdout } = await run("npx", ["--yes", pinnedPnpm(), "pack", "--json", "--pack-destination", into], {
    cwd: folder,
  });
  const packed = JSON.parse(stdout.slice(stdout.indexOf("{"))) as { filename: string };
  return packed.filename.startsWith("/") ? packed.filename : join(into, packed.filename);
}

/** Runs a program and returns what it prints; its output is in the error when it fails. */
export async function execute(command: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await run(command, [...args], { cwd, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(" ")} failed in ${cwd}:\n${stdout ?? ""}\n${stderr ?? ""}`, {
      cause: error,
    });
  }
}
