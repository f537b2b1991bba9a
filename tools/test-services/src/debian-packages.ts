import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { runProgram } from "./run-program.ts";

/** The file that names the folders with libraries, relative to its own. */
const LIBRARIES = "libraries.json";

/** Which of the packages that a package depends on are unpacked too. */
export interface DebianDependencies {
  /** Libraries that the program does without. @default none */
  readonly without?: RegExp | undefined;
  /** Packages that are wanted beside libraries, whether or not the machine has them installed. @default none */
  readonly with?: RegExp | undefined;
}

/**
 * Unpacks Debian packages, and those libraries of theirs that the machine lacks, into a folder, without installing
 * anything, and notes there which folders hold libraries.
 */
export async function fetchDebianPrograms(
  packages: readonly string[],
  folder: string,
  dependencies: DebianDependencies = {},
): Promise<void> {
  const downloads = join(folder, "packages");
  await mkdir(downloads);
  const apt = await refreshable(folder);
  const seen = new Set<string>();
  const wanted = [...packages];
  for (let name = wanted.shift(); name !== undefined; name = wanted.shift()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const before = new Set(await readdir(downloads));
    await apt.download(name, downloads);
    for (const file of (await readdir(downloads)).filter((file) => !before.has(file))) {
      const path = join(downloads, file);
      await runProgram("dpkg-deb", ["-x", path, folder]);
      for (const name of namesIn(await runProgram("dpkg-deb", ["-f", path, "Depends"]))) {
        if (await isWanted(name, dependencies)) wanted.push(name);
      }
    }
  }
  await apt.cleanUp();
  await rm(downloads, { recursive: true });
  await writeFile(join(folder, LIBRARIES), JSON.stringify(await librariesBelow(folder)));
}

interface Apt {
  download(name: string, into: string): Promise<void>;
  cleanUp(): Promise<void>;
}

/**
 * apt-get, at first with the machine's package lists. Where those are missing or too old, it fetches lists of its own,
 * so that neither root nor apt's lock is needed.
 */
async function refreshable(folder: string): Promise<Apt> {
  const state = join(folder, "apt");
  let ownLists: string[] | undefined;
  const download = (name: string, cwd: string) =>
    runProgram("apt-get", ["-q", "-o", "APT::Sandbox::User=root", ...(ownLists ?? []), "download", name], { cwd });
  return {
    async download(name, into) {
      if (ownLists === undefined) {
        try {
          await download(name, into);
          return;
        } catch (error) {
          if (String(error).includes("not installed")) throw error;
        }
        await mkdir(join(state, "lists", "partial"), { recursive: true });
        await mkdir(join(state, "cache", "archives", "partial"), { recursive: true });
        const own = ["-o", `Dir::State::lists=${join(state, "lists")}`, "-o", `Dir::Cache=${join(state, "cache")}`];
        await runProgram("apt-get", ["-q", "-o", "APT::Sandbox::User=root", ...own, "update"]);
        ownLists = own;
      }
      await download(name, into);
    },
    cleanUp: () => rm(state, { recursive: true, force: true }),
  };
}

/** The names in a Depends line; of alternatives the first. */
function namesIn(depends: string): string[] {
  return depends.split(",").map((entry) => entry.trim().split(/[\s|(:]/, 1)[0] ?? "");
}

async function isWanted(name: string, { with: also, without }: DebianDependencies): Promise<boolean> {
  if (also?.test(name)) return true;
  if (!name.startsWith("lib") || name === "libc6" || without?.test(name)) return false;
  return !(await isInstalled(name));
}

async function isInstalled(name: string): Promise<boolean> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholder
  return runProgram("dpkg-query", ["-W", "-f", "${db:Status-Status}", name]).then(
    (status) => status.includes("installed") && !status.includes("not-installed"),
    () => false,
  );
}

async function librariesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const folders = entries.filter(({ name }) => /\.so(\.\d+)*$/.test(name)).map(({ parentPath }) => parentPath);
  return [...new Set(folders)].map((path) => relative(folder, path));
}

/** The variable by which a program finds the libraries that were unpacked below the folder, before the machine's own. */
export async function libraryPath(folder: string): Promise<Record<string, string>> {
  const libraries = JSON.parse(await readFile(join(folder, LIBRARIES), "utf8")) as string[];
  const { LD_LIBRARY_PATH } = process.env;
  const paths = libraries.map((path) => join(folder, path));
  return { LD_LIBRARY_PATH: [...paths, ...(LD_LIBRARY_PATH ? [LD_LIBRARY_PATH] : [])].join(":") };
}
