import { type Dirent, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join, relative } from "node:path";

/** A part of a Markdown document: a heading and the text below it. */
export interface Section {
  /** The package whose document it is; `.` for this repository. */
  readonly package: string;
  readonly path: string;
  /** Its number in the document, from 1. */
  readonly ordinal: number;
  readonly level: number;
  readonly heading: string;
  readonly body: string;
  /** When the file was last changed. */
  readonly modified: Date;
}

/** All sections of the Markdown files of a repository and of the packages that are installed in it. */
export function* collectSections(root: string): Generator<Section> {
  for (const file of markdownBelow(root, (name) => name !== "node_modules" && !name.startsWith("."))) {
    yield* sectionsOf(file, ".", relative(root, file));
  }
  for (const { name, folder } of installedPackages(root)) {
    for (const file of markdownBelow(folder, (child) => child !== "node_modules")) {
      yield* sectionsOf(file, name, relative(folder, file));
    }
  }
}

/** The packages in pnpm's store of the repository, each version once. */
function* installedPackages(root: string): Generator<{ name: string; folder: string }> {
  const store = join(root, "node_modules", ".pnpm");
  for (const entry of listFolder(store)) {
    const modules = join(store, entry.name, "node_modules");
    for (const scope of listFolder(modules)) {
      const names = scope.name.startsWith("@")
        ? listFolder(join(modules, scope.name)).map((child) => `${scope.name}/${child.name}`)
        : [scope.name];
      for (const name of names) {
        const folder = join(modules, name);
        // Its dependencies stand beside a package as links; only the package itself is a folder.
        if (realpathSync(folder) === folder) yield { name: entry.name, folder };
      }
    }
  }
}

function* markdownBelow(folder: string, enter: (name: string) => boolean): Generator<string> {
  for (const entry of listFolder(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && enter(entry.name)) yield* markdownBelow(path, enter);
    else if (entry.isFile() && /\.(md|markdown)$/i.test(entry.name)) yield path;
  }
}

function listFolder(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}

/** Cuts a document at its headings; what stands before the first one is a section without a heading. */
function* sectionsOf(file: string, packageName: string, path: string): Generator<Section> {
  const modified = statSync(file).mtime;
  let ordinal = 0;
  let level = 0;
  let heading = "";
  let lines: string[] = [];
  let fenced = false;
  const section = (): Section[] => {
    const body = lines.join("\n").trim().toWellFormed();
    if (heading === "" && body === "") return [];
    ordinal++;
    return [{ package: packageName, path, ordinal, level, heading, body, modified }];
  };
  for (const line of readFileSync(file, "utf8").split(/\r?\n/)) {
    if (/^\s*(```|~~~)/.test(line)) fenced = !fenced;
    const match = fenced ? null : /^(#{1,6})\s+(.+?)\s*#*$/.exec(line);
    if (!match) {
      lines.push(line);
      continue;
    }
    yield* section();
    level = match[1]!.length;
    heading = match[2]!.toWellFormed();
    lines = [];
  }
  yield* section();
}
