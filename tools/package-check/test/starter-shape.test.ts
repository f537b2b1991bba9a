import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../src/packages.ts";

/** The files that every starter has, always by these names, and `changes.ts` once it has a feed. */
const FACES = ["endpoint.ts", "index.ts", "read.ts", "register.ts", "starter.ts", "types.ts", "write.ts"];
const LATER_FACES = ["changes.ts"];
/** The folders that a starter may have beside them. */
const ROOMS = ["changes", "client", "formats", "inspecting", "mapping", "query", "reading", "values", "writing"];

interface Manifest {
  readonly [key: string]: unknown;
  readonly name: string;
  readonly omniP2p?: { readonly storageType?: string };
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const starters = readdirSync(join(root, "packages")).filter((name) => name.startsWith("starter-"));

function manifestOf(packageFolder: string): Manifest {
  return JSON.parse(readFileSync(join(root, "packages", packageFolder, "package.json"), "utf8")) as Manifest;
}

/** What a manifest says alike in every starter. */
function sharedPart({ type, license, author, engines, sideEffects, exports, files, scripts, publishConfig }: Manifest) {
  return { type, license, author, engines, sideEffects, exports, files, scripts, publishConfig };
}

it("every starter is found", () => {
  expect(starters.length).toBeGreaterThanOrEqual(6);
});

describe.each(starters)("the shape of %s", (name) => {
  const source = join(root, "packages", name, "src");
  const storageType = name.slice("starter-".length);
  const words = storageType[0]!.toUpperCase() + storageType.slice(1);
  const text = (file: string): string => readFileSync(join(source, file), "utf8");

  it("has the faces of all starters, and beside them only rooms that all know", () => {
    const entries = readdirSync(source, { withFileTypes: true }).filter(({ name }) => !name.endsWith(".d.ts"));
    const files = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    expect(files).toEqual(expect.arrayContaining(FACES));
    expect(files.filter((file) => ![...FACES, ...LATER_FACES].includes(file))).toEqual([]);
    const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    expect(folders.filter((folder) => !ROOMS.includes(folder))).toEqual([]);
  });

  it("parses its endpoint under the name that all have", () => {
    expect(text("endpoint.ts")).toMatch(new RegExp(`^export (?:async )?function parse${words}Endpoint\\(`, "m"));
    expect(text("endpoint.ts")).toMatch(new RegExp(`^export (?:interface|type) ${words}Endpoint\\b`, "m"));
    expect(text("endpoint.ts")).toMatch(new RegExp(`^export const ${storageType}Options\\b`, "m"));
  });

  it("exports its starter, and registers it when it is imported for that", () => {
    expect(text("index.ts")).toMatch(
      new RegExp(`export \\{[^}]*\\b${storageType}Starter\\b[^}]*\\} from "./starter.ts"`),
    );
    expect(text("starter.ts")).toMatch(new RegExp(`^export const ${storageType}Starter: P2PStarter\\b`, "m"));
    expect(text("register.ts")).toMatch(new RegExp(`^registerStarter\\(${storageType}Starter\\);$`, "m"));
    expect(text("types.ts")).toContain("P2PCapabilities");
  });

  it("has the manifest of all starters", () => {
    const manifest = manifestOf(name);
    expect(sharedPart(manifest)).toEqual(sharedPart(manifestOf("starter-memory")));
    expect(manifest.name).toBe(`@omni/p2p-${name}`);
    expect(manifest.omniP2p).toEqual({ storageType });
    expect(manifest.sideEffects).toEqual(["./dist/register.js"]);
    expect(Object.keys(manifest.exports as object)).toEqual([".", "./register", "./package.json"]);
    // Application and starter share one copy of the core, and no starter brings another.
    expect(manifest.peerDependencies?.["@omni/p2p-core"]).toBe(
      manifestOf("starter-memory").peerDependencies!["@omni/p2p-core"],
    );
    expect(Object.keys(manifest.dependencies ?? {}).filter((dependency) => dependency.startsWith("@omni/"))).toEqual(
      [],
    );
    expect(manifest.devDependencies).toMatchObject({
      "@omni/p2p-core": "workspace:*",
      "@omni/p2p-testkit": "workspace:*",
    });
  });
});
