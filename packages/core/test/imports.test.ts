import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const source = fileURLToPath(new URL("../src", import.meta.url));
const files = globSync("**/*.ts", { cwd: source }).map((file) => file.replaceAll("\\", "/"));

/** What a file imports or passes on, types too. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(source, file), "utf8").replace(/^\s*(?:\*|\/[/*]).*$/gm, "");
  const statements = text.matchAll(
    /^\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"/gm,
  );
  return [...statements].map(([, from, bare, dynamic]) => (from ?? bare ?? dynamic)!);
}

/** Its files by name, with the files of this package that they import. */
const graph = new Map(
  files.map((file) => [
    file,
    importsOf(file)
      .filter((name) => name.startsWith("."))
      .map((name) => relative(source, join(source, dirname(file), name)).replaceAll("\\", "/")),
  ]),
);

/** What others may import. */
const DOORS = new Set(["index.ts", "starter.ts", "engine.ts"]);

/** The room of a file; those beside the rooms are the lowest, and the face is above all. */
function layer(file: string): number {
  if (DOORS.has(file)) return 7;
  const room = file.includes("/") ? file.split("/")[0]! : "";
  const rooms = ["", "async", "model", "storage", "kit", "transfer", "connection"];
  expect(rooms, `${file} is in a room that this test does not know`).toContain(room);
  return rooms.indexOf(room);
}

function circleFrom(file: string, path: readonly string[], done: Set<string>): readonly string[] | undefined {
  if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
  if (done.has(file)) return undefined;
  for (const next of graph.get(file)!) {
    const circle = circleFrom(next, [...path, file], done);
    if (circle) return circle;
  }
  done.add(file);
  return undefined;
}

describe("the files of the core", () => {
  it("are found, with their imports", () => {
    expect(graph.size).toBeGreaterThan(40);
    expect(graph.get("index.ts")).toContain("connection/connection.ts");
    expect([...graph.values()].flat().filter((file) => !graph.has(file))).toEqual([]);
  });

  it("import downwards: connection, transfer, kit, storage, model, async, and what is beside them", () => {
    const upwards = [...graph].flatMap(([file, imports]) =>
      imports.filter((other) => layer(other) > layer(file)).map((other) => `${file} imports ${other}`),
    );
    expect(upwards).toEqual([]);
  });

  it("are in no circle", () => {
    const done = new Set<string>();
    for (const file of files) expect(circleFrom(file, [], done)).toBeUndefined();
  });

  it("import each other by file, and nothing else but Node's own modules", () => {
    for (const file of files) {
      for (const name of importsOf(file)) {
        expect(name, file).toMatch(/^node:[a-z_/]+$|^\.{1,2}\/.*\.ts$/);
        // A door is for those outside the core.
        expect(name, file).not.toMatch(/(?:index|starter|engine)\.ts$/);
      }
    }
  });
});
