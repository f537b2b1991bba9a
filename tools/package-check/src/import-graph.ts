import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** The dependency graph of a package: what each file of its `src` imports, types too. */
export interface ImportGraph {
  /** Files of the package that each file imports, by names relative to `src`. */
  readonly files: ReadonlyMap<string, readonly string[]>;
  /** Modules outside the package that each file imports. */
  readonly modules: ReadonlyMap<string, readonly string[]>;
}

/** Reads the imports of all files below a folder. */
export function importGraph(source: string): ImportGraph {
  const files = new Map<string, string[]>();
  const modules = new Map<string, string[]>();
  // Declarations of what has no types, such as files of text, hold for the whole package.
  const named = globSync("**/*.ts", { cwd: source }).filter((file) => !file.endsWith(".d.ts"));
  for (const file of named.map(slashed).sort()) {
    const names = importsOf(readFileSync(join(source, file), "utf8"));
    const own = names.filter((name) => name.startsWith("."));
    files.set(file, own.map((name) => slashed(relative(source, join(source, dirname(file), name)))).filter(isWithin));
    modules.set(
      file,
      names.filter((name) => !name.startsWith(".")),
    );
  }
  return { files, modules };
}

function slashed(path: string): string {
  return path.replaceAll("\\", "/");
}

/** A file above `src`, such as the package's manifest, is no part of the graph. */
function isWithin(file: string): boolean {
  return !file.startsWith("..");
}

/** What a text imports or passes on: statements, side-effect imports, dynamic imports and types by `import("…")`. */
export function importsOf(text: string): string[] {
  const code = text.replace(/^\s*(?:\*|\/[/*]).*$/gm, "");
  const found = code.matchAll(
    /^\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\(\s*(?:\/\*.*?\*\/\s*)?"([^"]+)"/gm,
  );
  return [...found].map(([, from, bare, dynamic]) => (from ?? bare ?? dynamic)!);
}

/** The first circle in a graph, as the way round it; `undefined` where there is none. */
export function circleIn(graph: ReadonlyMap<string, Iterable<string>>): readonly string[] | undefined {
  const done = new Set<string>();
  for (const node of graph.keys()) {
    const circle = circleFrom(graph, node, [], done);
    if (circle) return circle;
  }
  return undefined;
}

function circleFrom(
  graph: ReadonlyMap<string, Iterable<string>>,
  node: string,
  path: readonly string[],
  done: Set<string>,
): readonly string[] | undefined {
  if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
  if (done.has(node)) return undefined;
  for (const next of graph.get(node) ?? []) {
    const circle = circleFrom(graph, next, [...path, node], done);
    if (circle) return circle;
  }
  done.add(node);
  return undefined;
}

/** The room of a file: its first folder, or the file itself where it lies beside them. */
export function roomOf(file: string): string {
  return file.split("/")[0]!;
}

/** The rooms of a package, with those that they import from. */
export function roomsOf({ files }: ImportGraph): Map<string, Set<string>> {
  const rooms = new Map<string, Set<string>>();
  for (const [file, imports] of files) {
    const others = rooms.get(roomOf(file)) ?? new Set();
    rooms.set(roomOf(file), others);
    for (const other of imports) if (roomOf(other) !== roomOf(file)) others.add(roomOf(other));
  }
  return rooms;
}
