import { existsSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { messageOf } from "@omni/p2p-core/starter";
import { UsageError } from "../usage-error.ts";

/** What Node says of the ways in which a module cannot be loaded, and what to do then. */
const ADVICE: Readonly<Record<string, string>> = {
  ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX:
    "use only TypeScript that can be erased (no enum, namespace or parameter property), or compile it to .js",
  ERR_INVALID_TYPESCRIPT_SYNTAX: "mend the syntax",
  ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING: "move it out of node_modules, or compile it to .js",
  ERR_UNKNOWN_FILE_EXTENSION: "give a .ts, .mts, .js or .mjs file; .ts needs Node 22.18 or newer",
  ERR_MODULE_NOT_FOUND: "see that what it imports is installed, and that relative imports name the file's extension",
};

/**
 * Loads a module of the user's; TypeScript is run by Node itself.
 *
 * @param what names it in errors: `The transform ./map.ts`.
 */
export async function loadModule(file: string, what: string): Promise<Readonly<Record<string, unknown>>> {
  if (!existsSync(file)) throw new UsageError(`${what} does not exist: there is no file ${file}`);
  takeModulesAsWritten();
  const unmute = muteTypeStripping();
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException)?.code ?? "";
    const next = ADVICE[code] ?? (error instanceof SyntaxError ? "mend the syntax" : undefined);
    throw new UsageError(`${what} could not be loaded: ${messageOf(error)}`, next, { cause: error });
  } finally {
    unmute();
  }
}

/** What a module exports by default or under a name; a CommonJS module has its exports under the default one. */
export function exportOf(exported: Readonly<Record<string, unknown>>, name: string): unknown {
  const main = exported.default;
  if (typeof main !== "object" || main === null) return main ?? exported[name];
  const inner = main as Readonly<Record<string, unknown>>;
  return exported[name] ?? inner.default ?? inner[name] ?? main;
}

/** Formats that Node gives to files of a package that is not `"type": "module"`, and what they are with `export` in them. */
const AS_MODULE: Readonly<Record<string, string>> = {
  commonjs: "module",
  "commonjs-typescript": "module-typescript",
};

let taken = false;

/**
 * Lets a file that says `import` or `export` be a module whatever the package.json beside it says: `npm init` writes
 * `"type": "commonjs"`, which is no reason to refuse a transform.
 */
function takeModulesAsWritten(): void {
  if (taken) return;
  taken = true;
  registerHooks({
    load(url, context, nextLoad) {
      const format = AS_MODULE[context.format ?? ""];
      const own = url.startsWith("file:") && !url.includes("/node_modules/");
      return nextLoad(url, format !== undefined && own && isWrittenAsModule(url) ? { ...context, format } : context);
    },
  });
}

function isWrittenAsModule(url: string): boolean {
  return /^\s*(import|export)\b/m.test(readFileSync(fileURLToPath(url), "utf8"));
}

/** Node 22 and 23 warn of running TypeScript, which here is what the user asked for. */
function muteTypeStripping(): () => void {
  const { emitWarning } = process;
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (/type stripping/i.test(messageOf(warning))) return;
    Reflect.apply(emitWarning, process, [warning, ...rest]);
  }) as typeof process.emitWarning;
  return () => {
    process.emitWarning = emitWarning;
  };
}
