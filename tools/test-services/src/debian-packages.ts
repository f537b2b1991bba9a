import { mkdir, readdir, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { runProgram } from "./run-program.ts";

/**
 * Unpacks Debian packages, and those libraries of theirs that the machine lacks, into a folder, without installing
 * anything. Resolves with the folders that hold libraries, relative to it.
 */
export async function fetchDebianPrograms(packages: readonly string[], folder: string): Promise<string[]> {
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
      for (const library of librariesIn(await runProgram("dpkg-deb", ["-f", path, "Depends"]))) {
        if (!(await isInstalled(library))) wanted.push(library);
      }
    }
  }
  await apt.cleanUp();
  await rm(downloads, { recursive: true });
  return librariesBelow(folder);
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

/** The names of the libraries in a Depends line; of alternatives the first. */
function librariesIn(depends: string): string[] {
  return depends
    .split(",")
    .map((entry) => entry.trim().split(/[\s|(:]/, 1)[0] ?? "")
    .filter((name) => name.startsWith("lib") && name !== "libc6");
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
