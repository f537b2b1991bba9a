import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { messageOf } from "@omni/p2p-core";
import { UsageError } from "./usage-error.ts";

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
