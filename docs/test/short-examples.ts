import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { exportedNames } from "./declarations.ts";
import { type CodeBlock, original, repository } from "./markdown.ts";

/** The code in the `@example` parts of a package's TSDoc, as far as it is part of the package. */
export function tsdocExamples(packageFolder: string): CodeBlock[] {
  const source = join("packages", packageFolder, "src");
  const files = readdirSync(join(repository, source), { recursive: true }).filter((name) =>
    String(name).endsWith(".ts"),
  );
  return files.flatMap((name) => examplesIn(join(source, String(name))));
}

function examplesIn(file: string): CodeBlock[] {
  const text = readFileSync(join(repository, file), "utf8");
  return [...text.matchAll(/^ *\* ```ts\n([\s\S]*?)^ *\* ```$/gm)].map(({ 1: body, index }) => ({
    file,
    line: text.slice(0, index).split("\n").length + 1,
    language: "ts",
    words: [],
    code: body!.replace(/^ *\* ?/gm, ""),
  }));
}

/** The doors of the core, the applications' first: a name comes from the first that has it. */
const CORE_DOORS = [
  ["core", "index"],
  ["core", "starter"],
  ["core", "engine"],
] as const;

/**
 * What a short example leaves to the reader: the imports of what its own package and the core export, and a manager.
 * A translation of a README gets the same; examples on the site's own pages are complete, and get none of this.
 */
export function impliedImports({ file, code }: CodeBlock): string {
  const [, own] = /^packages\/([^/]+)\//.exec(original(file).replaceAll("\\", "/")) ?? [];
  if (own === undefined) return "";
  const given = new Set<string>();
  const imports = [...(own === "core" ? [] : [[own, "index"] as const]), ...CORE_DOORS].map(([folder, door]) => {
    const names = exportedNames(folder, door).filter((name) => isMissing(name, code) && !given.has(name));
    for (const name of names) given.add(name);
    const from = `@omni/p2p-${folder}${door === "index" ? "" : `/${door}`}`;
    return names.length > 0 ? `import { ${names.join(", ")} } from "${from}";` : "";
  });
  if (isMissing("manager", code)) imports.push('import { manager } from "./given/manager.ts";');
  return imports.join(" ");
}

/** Whether the code uses a name without saying where it comes from. */
function isMissing(name: string, code: string): boolean {
  if (!new RegExp(`(?<![.\\w"'])${name}\\b(?!["':])`).test(code)) return false;
  const imported = new RegExp(`import[^;]*\\b${name}\\b[^;]*from`).test(code);
  return !imported && !new RegExp(`\\b(const|let|using|class|function|type|interface)\\s+${name}\\b`).test(code);
}
