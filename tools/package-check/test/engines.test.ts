import { existsSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { subset } from "semver";
import { describe, expect, it } from "vitest";
import { publishedPackages } from "../src/packages.ts";

interface Manifest {
  readonly name: string;
  readonly engines?: { readonly node?: string };
  readonly dependencies?: Readonly<Record<string, string>>;
}

const manifestIn = (folder: string) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;

/** The folder of a dependency: below the package's own `node_modules`, or beside the package in the store. */
function folderOf(name: string, from: string): string {
  let beside = from;
  while (basename(beside) !== "node_modules" && dirname(beside) !== beside) beside = dirname(beside);
  const place = [join(from, "node_modules", name), join(beside, name)].find((folder) => existsSync(folder));
  return realpathSync(place!);
}

/** Every package that comes with a package, with the Node that it asks for. */
function enginesBelow(folder: string, found = new Map<string, string>()): Map<string, string> {
  for (const name of Object.keys(manifestIn(folder).dependencies ?? {})) {
    const below = folderOf(name, folder);
    const node = manifestIn(below).engines?.node;
    if (found.has(name)) continue;
    found.set(name, node ?? "*");
    enginesBelow(below, found);
  }
  return found;
}

describe.each(publishedPackages())("$name", ({ folder }) => {
  it("asks for a Node that all its dependencies take", () => {
    const own = manifestIn(folder).engines!.node!;
    const wider = [...enginesBelow(folder)].filter(([, node]) => !subset(own, node));
    expect(wider).toEqual([]);
  });
});
