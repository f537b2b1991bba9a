import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { repository } from "./markdown.ts";

const parsed = new Map<string, ts.SourceFile>();

function parse(path: string): ts.SourceFile {
  const file = parsed.get(path) ?? ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
  parsed.set(path, file);
  return file;
}

function builtFolder(packageFolder: string): string {
  return join(repository, "packages", packageFolder, "dist");
}

/** Every declaration of a package: those that several of its doors share are built into files beside them. */
function statements(packageFolder: string): ts.Statement[] {
  const folder = builtFolder(packageFolder);
  const files = readdirSync(folder).filter((name) => name.endsWith(".d.ts"));
  return files.flatMap((name) => [...parse(join(folder, name)).statements]);
}

/** The names that a door of a package exports, types too. */
export function exportedNames(packageFolder: string, door = "index"): string[] {
  return [...parse(join(builtFolder(packageFolder), `${door}.d.ts`)).statements].flatMap((statement) =>
    ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause)
      ? statement.exportClause.elements.map(({ name }) => name.text)
      : [],
  );
}

/** The names of the members that an interface of a package declares itself. */
export function membersOf(packageFolder: string, name: string): string[] {
  const found = statements(packageFolder).find(
    (statement): statement is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  );
  if (!found) throw new Error(`${packageFolder} declares no interface ${name}`);
  // A method with several forms is one member.
  return [...new Set(found.members.flatMap((member) => (member.name ? [member.name.getText()] : [])))];
}

/** The words of a union of literal strings that a package declares. */
export function wordsOf(packageFolder: string, name: string): string[] {
  const found = statements(packageFolder).find(
    (statement): statement is ts.TypeAliasDeclaration =>
      ts.isTypeAliasDeclaration(statement) && statement.name.text === name,
  );
  if (!found || !ts.isUnionTypeNode(found.type)) throw new Error(`${packageFolder} declares no union ${name}`);
  return found.type.types.flatMap((type) =>
    ts.isLiteralTypeNode(type) && ts.isStringLiteral(type.literal) ? [type.literal.text] : [],
  );
}
