import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile, type Source } from "./compile.ts";
import { type CodeBlock, codeBlocks, docs, markdownFiles, original, repository } from "./markdown.ts";
import type { RunnableBlock, RunOutcome } from "./run-blocks.ts";
import { impliedImports, tsdocExamples } from "./short-examples.ts";
import { readersModules, takenForGranted } from "./taken-for-granted.ts";

/** What the repository's own tools say of themselves is for those who work on it, and is in their tests. */
const blocks = markdownFiles()
  .filter((file) => !file.startsWith("tools/") && !file.startsWith("bench/"))
  .flatMap(codeBlocks);
const typescript = blocks.filter(({ language }) => language === "ts" || language === "typescript");

/** Each module that a block can be given, with the names that it exports. */
const GIVEN: Readonly<Record<string, readonly string[]>> = {
  manager: ["manager"],
  connection: ["manager", "connection", "connectionId"],
};

function givenOf({ words }: CodeBlock): string | undefined {
  return words.find((word) => word.startsWith("given="))?.slice("given=".length);
}

function prelude(block: CodeBlock, module: (name: string) => string): string {
  const given = givenOf(block);
  if (given === undefined) return "";
  return `import { ${GIVEN[given]!.join(", ")} } from ${JSON.stringify(module(given))};`;
}

function nameOf({ file, line }: CodeBlock): string {
  return `${file}:${line}`;
}

describe("the documents' code", () => {
  it("compiles, that of the API reference too", () => {
    const packages = readdirSync(join(repository, "packages"));
    const sources = [...typescript, ...packages.flatMap(tsdocExamples)].map((block): Source => {
      const given = prelude(block, (name) => `./given/${name}.ts`);
      return {
        name: block.file,
        line: block.line,
        prelude: `${takenForGranted[original(block.file)] ?? ""} ${impliedImports(block)} ${given}`,
        code: block.code,
      };
    });
    expect(compile(sources, readersModules)).toEqual([]);
  });

  it("is TypeScript where it is JavaScript, so that it is compiled", () => {
    expect(blocks.filter(({ language }) => /^(js|javascript|mjs|jsx|tsx)$/.test(language)).map(nameOf)).toEqual([]);
  });

  it("holds JSON that can be read", () => {
    for (const block of blocks.filter(({ language }) => language === "json")) {
      expect(() => JSON.parse(block.code), nameOf(block)).not.toThrow();
    }
  });

  it("takes in the guide's examples as they are", () => {
    const shown = readFileSync(join(docs, "guide", "connections.md"), "utf8");
    for (const file of readdirSync(join(docs, "..", "examples", "guide", "src"))) {
      if (!file.startsWith("0")) expect(shown).toContain(`<<< ../../examples/guide/src/${file}`);
    }
  });
});

describe("the code that runs", () => {
  const runnable = typescript.filter(({ words }) => words.includes("run"));
  const modules = join(docs, ".cache", "blocks");
  const folder = mkdtempSync(join(tmpdir(), "omni-p2p-docs-"));
  let outcomes: readonly RunOutcome[];

  beforeAll(() => {
    rmSync(modules, { recursive: true, force: true });
    mkdirSync(modules, { recursive: true });
    const seed = runnable.find(
      ({ file, code }) => file === "docs/getting-started.md" && code.includes("CREATE TABLE"),
    )!;
    writeFileSync(join(modules, "seed.ts"), seed.code);
    execFileSync(process.execPath, ["--no-warnings", join(modules, "seed.ts")], { cwd: folder });
    const list = runnable.map((block, index): RunnableBlock => {
      const module = join(modules, `${index}.ts`);
      // A query makes it a module of its own for each block.
      const given = (name: string) => `${pathToFileURL(join(docs, "test", "given", `${name}.ts`)).href}?${index}`;
      writeFileSync(module, `${prelude(block, given)}\n${block.code}\nexport {};\n`);
      const name = givenOf(block);
      return {
        name: nameOf(block),
        module,
        ...(name !== undefined && { given: given(name) }),
        fresh: block.words.includes("fresh"),
      };
    });
    const [listFile, outcomeFile] = [join(folder, "blocks.json"), join(folder, "outcomes.json")];
    writeFileSync(listFile, JSON.stringify({ blocks: list, knowledge: join(folder, "data", "knowledge.db") }));
    execFileSync(process.execPath, ["--no-warnings", join(docs, "test", "run-blocks.ts"), listFile, outcomeFile], {
      timeout: 100_000,
      stdio: ["ignore", "ignore", "inherit"],
    });
    outcomes = JSON.parse(readFileSync(outcomeFile, "utf8")) as RunOutcome[];
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(runnable.map((block) => [nameOf(block), block] as const))("%s runs", (name, block) => {
    const outcome = outcomes.find((one) => one.name === name)!;
    expect(outcome.error).toBeUndefined();
    const next = blocks[blocks.indexOf(block) + 1];
    if (next?.file !== block.file || !next.words.includes("output")) return;
    expect(comparable(outcome.output)).toBe(comparable(next.code));
  });
});

/** Output without what differs from run to run. */
function comparable(output: string): string {
  return output
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<uuid>")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<time>")
    .replace(/[\d,.]+ ms/g, "<ms>")
    .replace(/[\d,.]+ records\/s/g, "<rate>")
    .trim();
}
