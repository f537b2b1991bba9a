import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { circleIn, importGraph, importsOf, roomOf, roomsOf } from "../src/import-graph.ts";
import { layersOf, mayImport } from "../src/layers.ts";
import { root } from "../src/packages.ts";

const packages = readdirSync(join(root, "packages"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();

it("every package is found", () => {
  expect(packages.length).toBeGreaterThanOrEqual(9);
  expect(packages).toEqual(expect.arrayContaining(["core", "cli", "engine-bullmq", "starter-memory", "testkit"]));
});

describe("a graph of imports", () => {
  it("knows every form of an import, and nothing that is only written about", () => {
    const text = [
      'import a from "./a.ts";',
      'import type { B } from "./b.ts";',
      "import {\n  c,\n  type D,\n} from './no.ts';".replaceAll("'", '"').replace("no", "c"),
      'export * from "./d.ts";',
      'export type { E } from "./e.ts";',
      'import "./f.ts";',
      'const g = await import("./g.ts");',
      'type H = import("./h.ts").H;',
      ' * import { x } from "./never.ts";',
      '// import "./never.ts";',
    ].join("\n");
    expect(importsOf(text)).toEqual(["a", "b", "c", "d", "e", "f", "g", "h"].map((name) => `./${name}.ts`));
  });

  it("tells a circle by the way round it", () => {
    const round = new Map([["a", ["b"]], ["b", ["c", "d"]], ["c", []], ["d", ["b"]]]); // biome-ignore format: a line
    expect(circleIn(round)).toEqual(["b", "d", "b"]);
    expect(circleIn(new Map([["a", ["b", "c"]], ["b", ["c"]], ["c", []]]))).toBeUndefined(); // biome-ignore format: a line
  });
});

describe.each(packages)("the files of %s", (name) => {
  const graph = importGraph(join(root, "packages", name, "src"));
  const rooms = roomsOf(graph);

  it("are found, with their imports", () => {
    expect(graph.files.size).toBeGreaterThan(5);
    const imported = [...graph.files.values()].flat().filter((file) => file.endsWith(".ts"));
    expect(imported.length).toBeGreaterThan(5);
    expect(imported.filter((file) => !graph.files.has(file))).toEqual([]);
  });

  it("are in no circle, types included", () => {
    expect(circleIn(graph.files)?.join(" → ")).toBeUndefined();
  });

  it("lie in rooms that are in no circle either", () => {
    expect(circleIn(rooms)?.join(" → ")).toBeUndefined();
  });

  it("import downwards", () => {
    const layers = layersOf(name);
    const levelOf = (file: string): number => layers.findIndex((level) => level.includes(roomOf(file)));
    expect(
      [...rooms.keys()].filter((room) => levelOf(room) < 0),
      "rooms that no layer names",
    ).toEqual([]);
    const upwards = [...graph.files].flatMap(([file, imports]) =>
      imports.filter((other) => levelOf(other) > levelOf(file)).map((other) => `${file} imports ${other}`),
    );
    expect(upwards).toEqual([]);
  });

  it("import other packages by the doors that are for them", () => {
    const wrong = [...graph.modules].flatMap(([file, modules]) =>
      modules
        .filter((module) => module.startsWith("@omni/") && !mayImport(name).test(module))
        .map((module) => `${file} imports ${module}`),
    );
    expect(wrong).toEqual([]);
  });

  it("import each other by file, and never through a door", () => {
    const doors = new Set(["index.ts", "register.ts", ...(name === "core" ? ["starter.ts", "engine.ts"] : [])]);
    const wrong = [...graph.files].flatMap(([file, imports]) =>
      imports
        .filter((other) => doors.has(other) || (other.endsWith("/index.ts") && file !== other))
        .map((other) => `${file} imports ${other}`),
    );
    expect(wrong).toEqual([]);
  });
});

it("the core imports nothing but Node's own modules", () => {
  const { modules } = importGraph(join(root, "packages/core/src"));
  expect([...modules.values()].flat().filter((module) => !/^node:[a-z/_]+$/.test(module))).toEqual([]);
});
