import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { repository } from "./markdown.ts";

/** What names a test or a group of tests, with the place of the title among its arguments. */
const NAMING: ReadonlyMap<string, number> = new Map([
  ["describe", 0],
  ["group", 0],
  ["it", 0],
  ["test", 0],
  ["check", 1],
  ["describeWithService", 1],
  ["describeWithOwnService", 2],
]);

/**
 * The titles of the tests of a file and of their groups, each below its groups with ` > ` between them. Holes of templates
 * and `%s` are as they stand in the source.
 */
export function titles(file: string): string[] {
  const text = readFileSync(join(repository, file), "utf8");
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  const found: string[] = [];
  const walk = (node: ts.Node, above: readonly string[]) => {
    const title = ts.isCallExpression(node) ? titleOf(node, source) : undefined;
    const path = title === undefined ? above : [...above, title];
    if (title !== undefined) found.push(path.join(" > "));
    ts.forEachChild(node, (child) => walk(child, path));
  };
  walk(source, []);
  return found;
}

function titleOf(call: ts.CallExpression, source: ts.SourceFile): string | undefined {
  const title = call.arguments[NAMING.get(rootOf(call.expression)) ?? -1];
  if (title === undefined) return undefined;
  if (ts.isStringLiteralLike(title)) return title.text;
  return ts.isTemplateExpression(title) ? title.getText(source).slice(1, -1) : undefined;
}

/** `it` of `it`, of `it.each([…])` and of `it.runIf(…)`. */
function rootOf(callee: ts.Expression): string {
  if (ts.isIdentifier(callee)) return callee.text;
  if (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)) return rootOf(callee.expression);
  return ts.isTaggedTemplateExpression(callee) ? rootOf(callee.tag) : "";
}
