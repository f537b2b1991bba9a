import { join } from "node:path";
import ts from "typescript";
import { docs, repository } from "./markdown.ts";

/** A piece of TypeScript that is to be compiled as a file of its own. */
export interface Source {
  /** What an error message calls it. */
  readonly name: string;
  /** Where the code stands in what `name` tells, 1 for its first line. */
  readonly line: number;
  /** Goes before the code, on one line. */
  readonly prelude: string;
  readonly code: string;
}

/**
 * Compiles sources against the workspace's packages and tells the errors, each with its place.
 *
 * @param modules what the sources import by relative paths, with the text of each.
 */
export function compile(sources: readonly Source[], modules: Readonly<Record<string, string>> = {}): string[] {
  const given = new Map(Object.entries(modules).map(([path, text]) => [join(docs, "test", path), text]));
  const files = new Map(
    sources.map((source, index) => [
      // In this folder, so that names of packages mean those that the documents depend on.
      join(docs, "test", `block-${index}.ts`),
      { source, text: `export {}; ${source.prelude}\n${source.code}` },
    ]),
  );
  const options = compilerOptions();
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile, directoryExists } = host;
  host.getCurrentDirectory = () => docs;
  const textOf = (name: string) => files.get(name)?.text ?? given.get(name);
  host.fileExists = (name) => textOf(name) !== undefined || fileExists(name);
  host.directoryExists = (name) =>
    [...given.keys()].some((path) => path.startsWith(`${name}/`)) || (directoryExists?.(name) ?? true);
  host.readFile = (name) => textOf(name) ?? readFile(name);
  host.getSourceFile = (name, version, ...rest) => {
    const text = textOf(name);
    return text === undefined ? getSourceFile(name, version, ...rest) : ts.createSourceFile(name, text, version);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return [...files].flatMap(([name, { source }]) => {
    const file = program.getSourceFile(name);
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    return found.map(({ start = 0, messageText }) => {
      const { line } = ts.getLineAndCharacterOfPosition(file!, start);
      const message = ts.flattenDiagnosticMessageText(messageText, "\n");
      return `${source.name}:${source.line + line - 1}: ${message}`;
    });
  });
}

function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(repository, "tsconfig.base.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, docs);
  // An example may show a value without using it, and imports are added to some.
  return { ...options, noUnusedLocals: false, noUnusedParameters: false, verbatimModuleSyntax: false };
}
