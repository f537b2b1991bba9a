import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { repository } from "./markdown.ts";

const parsed = new Map<string, ts.SourceFile>();

function declarations(packageFolder: string): ts.SourceFile {
  let file = parsed.get(packageFolder);
  if (file === undefined) {
    const path = join(repository, "packages", packageFolder, "dist", "index.d.ts");
    file = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
    parsed.set(packageFolder, file);
  }
  return file;
}

/** The names that a package exports, types too. */
export function exportedNames(packageFolder: string): string[] {
  return declarations(packageFolder).statements.flatMap((statement) =>
    ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause)
      ? statement.exportClause.elements.map(({ name }) => name.text)
      : [],
  );
}

/** The names of the members that an interface of a package declares itself. */
export function membersOf(packageFolder: string, name: string): string[] {
  const found = declarations(packageFolder).statements.find(
    (statement): statement is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  );
  if (!found) throw new Error(`${packageFolder} declares no interface ${name}`);
  return found.members.flatMap((member) => (member.name ? [member.name.getText()] : []));
}

/** The words of a union of literal strings that a package declares. */
export function wordsOf(packageFolder: string, name: string): string[] {
  const found = declarations(packageFolder).statements.find(
    (statement): statement is ts.TypeAliasDeclaration =>
      ts.isTypeAliasDeclaration(statement) && statement.name.text === name,
  );
  if (!found || !ts.isUnionTypeNode(found.type)) throw new Error(`${packageFolder} declares no union ${name}`);
  return found.type.types.flatMap((type) =>
    ts.isLiteralTypeNode(type) && ts.isStringLiteral(type.literal) ? [type.literal.text] : [],
  );
}
