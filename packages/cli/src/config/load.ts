import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, extname, relative, resolve } from "node:path";
import { isP2PError } from "@omni/p2p-core";
import { distrustOf, nearest, parseConfig } from "@omni/p2p-core/engine";
import { messageOf } from "@omni/p2p-core/starter";
import { exportOf, loadModule } from "../modules/load-module.ts";
import { UsageError } from "../usage-error.ts";
import type { ConfigFile } from "./file.ts";

/** A config file that has been read and checked. */
export interface LoadedConfig extends ConfigFile {
  /** Its path as it is shown. */
  readonly file: string;
  readonly folder: string;
  readonly endpoints: NonNullable<ConfigFile["endpoints"]>;
}

const NAMES = ["ts", "mts", "js", "mjs", "yaml", "yml", "json"].map((extension) => `p2p.config.${extension}`);

/**
 * The config file in the working directory, if there is one.
 *
 * @throws UsageError when it is there and may be another user's: its code would be run, and its endpoints be given
 *   the passwords of this environment.
 */
export function findConfig(): string | undefined {
  const file = NAMES.find((name) => existsSync(name));
  const distrust = file === undefined ? undefined : distrustOf(resolve(file));
  if (distrust === undefined) return file;
  throw new UsageError(
    `The config file ${file} was found here and is not read: ${distrust.replace(/; if .*/, "")}`,
    `name it, if it is meant: --config ${file}`,
  );
}

/**
 * Reads and checks a config file.
 *
 * @throws UsageError naming the path of what is wrong in it.
 */
export async function loadConfig(file: string): Promise<LoadedConfig> {
  const path = resolve(file);
  const shown = relative(process.cwd(), path).startsWith("..") ? path : relative(process.cwd(), path);
  const content = await readContent(path, shown);
  await checkForm(shown, content);
  const config = content as ConfigFile;
  checkSettings(shown, "defaults", config.defaults);
  for (const [i, transfer] of (config.transfers ?? []).entries()) {
    checkSettings(shown, `transfers[${i}].config`, transfer.config);
  }
  return { ...config, endpoints: config.endpoints ?? {}, file: shown, folder: dirname(path) };
}

async function readContent(path: string, shown: string): Promise<unknown> {
  switch (extname(path)) {
    case ".json":
      return parseText(path, shown, "JSON", parseJsonText);
    case ".yaml":
    case ".yml": {
      const { parseYaml } = await import("./yaml.ts");
      return parseText(path, shown, "YAML", parseYaml);
    }
    case ".ts":
    case ".mts":
    case ".js":
    case ".mjs": {
      const exported = await loadModule(path, `The config file ${shown}`);
      const config = exportOf(exported, "config");
      if (config !== undefined) return typeof config === "function" ? config() : config;
      throw new UsageError(`The config file ${shown} has no default export`, "export default defineConfig({ … })");
    }
    default:
      throw new UsageError(`The config file ${shown} must end in .ts, .mts, .js, .mjs, .yaml, .yml or .json`);
  }
}

async function parseText(
  path: string,
  shown: string,
  form: string,
  parse: (text: string) => unknown,
): Promise<unknown> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new UsageError(`The config file ${shown} cannot be read: ${messageOf(cause)}`, undefined, { cause });
  });
  if (text.length > MAX_CONFIG) {
    throw new UsageError(`The config file ${shown} has ${text.length} characters; ${MAX_CONFIG} is the most`);
  }
  try {
    // Editors on Windows put a byte-order mark before the text.
    return parse(text.replace(/^\ufeff/, "")) ?? {};
  } catch (error) {
    // Their messages quote the text, in which passwords stand; neither they nor the cause may be shown.
    throw new UsageError(
      `The config file ${shown} is not valid ${form}${placeOf(error, text)}; the text there is not shown, since it may be a secret`,
    );
  }
}

/** Longest config file, in characters. */
const MAX_CONFIG = 256 * 1024;

/** ` at line 3, column 5 (BAD_INDENT)` */
function placeOf(error: unknown, text: string): string {
  const { linePos, code } = error as { linePos?: readonly { line: number; col: number }[]; code?: unknown };
  const [start] = linePos ?? [];
  if (start) return ` at line ${start.line}, column ${start.col}${typeof code === "string" ? ` (${code})` : ""}`;
  const at = /at position (\d+)/.exec(messageOf(error))?.[1];
  if (at === undefined) return "";
  const before = text.slice(0, Number(at)).split("\n");
  return ` at line ${before.length}, column ${before.at(-1)!.length + 1}`;
}

function parseJsonText(text: string): unknown {
  return JSON.parse(text);
}

/** Tells every mistake at once, each with its path. */
async function checkForm(shown: string, content: unknown): Promise<void> {
  const { keysAt, mistakesIn, pathText } = await import("./schema.ts");
  const lines = mistakesIn(content).map(({ path, kind, message }) => {
    const place = pathText(path) || "the file";
    if (kind === "missing") return `${place} is missing`;
    if (kind === "wrong") return `${place} is not right: ${message}`;
    const known = keysAt(path.slice(0, -1));
    const near = nearest(String(path.at(-1)), known);
    return `unknown key ${place}${near === undefined ? `; known keys there: ${known.join(", ")}` : ` (did you mean ${near}?)`}`;
  });
  if (lines.length > 0) throw new UsageError(`The config file ${shown} has a mistake:\n  ${lines.join("\n  ")}`);
}

/** The core knows the settings; its error names the key, and the place is added here. */
function checkSettings(shown: string, place: string, settings: ConfigFile["defaults"]): void {
  try {
    parseConfig(settings);
  } catch (error) {
    if (!isP2PError(error)) throw error;
    const what = error.message
      .replace(/^Invalid configuration: /, "")
      .replace(/^(unknown key )?"(\w+)"/, `$1${place}.$2`);
    throw new UsageError(`The config file ${shown} has a mistake:\n  ${what}`, undefined, { cause: error });
  }
}
