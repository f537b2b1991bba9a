import { constants } from "node:buffer";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isP2PError } from "@omni/p2p-core";
import { loadConfig } from "../../../packages/cli/src/config/load.ts";
import { expandVariables } from "../../../packages/cli/src/endpoints/environment.ts";
import {
  collect,
  collectList,
  collectNamed,
  duration,
  wholeFrom,
  wholeOrAuto,
} from "../../../packages/cli/src/flags/values.ts";
import { buildProgram } from "../../../packages/cli/src/program.ts";
import { queryFrom } from "../../../packages/cli/src/query/query.ts";
import { parseValue } from "../../../packages/cli/src/query/value.ts";
import { parseWhere } from "../../../packages/cli/src/query/where.ts";
import { settingsFrom } from "../../../packages/cli/src/transfer/settings.ts";
import { UsageError } from "../../../packages/cli/src/usage-error.ts";
import { FileCheckpointStore, parseEndpoint } from "../../../packages/core/src/index.ts";
import { parseJson } from "../../../packages/core/src/model/parse-json.ts";
import { type P2PQuery, parseQuery } from "../../../packages/core/src/storage/query.ts";
import { deadLetterStarter } from "../../../packages/core/src/transfer/dead-letters/dead-letter-source.ts";
import { PARSERS as CORE_PARSERS } from "../../../packages/core/test/support/hostile.ts";
import {
  CHECKPOINT_SHAPES,
  CONFIG_SHAPES,
  ENDPOINT_SHAPES,
  JSON_SHAPES,
  LETTER_SHAPES,
  LIST_SHAPES,
  QUERY_SHAPES,
  type Shape,
  WHERE_SHAPES,
  YAML_SHAPES,
} from "./shapes.ts";

/** Something that takes a text of anybody's making. */
export interface Parser {
  readonly name: string;
  /** The longest text that it takes, in characters. A longer one it refuses, and says so. */
  readonly limit: number;
  /** Longest text to measure, in characters: the limit, where that can be waited for. */
  readonly longest: number;
  /** What is hostile to this parser in particular. */
  readonly shapes: readonly Shape[];
  parse(text: string): unknown;
}

const MB = 1_000_000;

/** What a text can hold at all: a parser that takes all of it has no limit of its own. */
const ANY_TEXT = constants.MAX_STRING_LENGTH;
const MAX_URL = 65_536;
/** What Linux takes as one argument of a command. */
const MAX_ARGUMENT = 131_072;
const MAX_CONFIG = 262_144;
const MAX_CHECKPOINT = 64 * 1024 * 1024;
const MAX_LETTER = 256 * 1024 * 1024;

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-fuzz-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const store = new FileCheckpointStore(folder);

async function readLetters(text: string): Promise<void> {
  const endpoint = parseEndpoint(`dead-letters:${file("letters.ndjson", text)}`);
  const { signal } = new AbortController();
  const service = await deadLetterStarter.open(endpoint, { role: "source" } as never);
  for await (const _ of service.readFromSource({}, { batchSize: 100, signal })) {
    // To read them is all.
  }
}

/** A parser, measured up to its limit or 1 MB. */
function parser(name: string, limit: number, parse: Parser["parse"], shapes: readonly Shape[] = []): Parser {
  return { name, limit, longest: Math.min(limit, MB), parse, shapes };
}

const CORE: Readonly<Record<string, { readonly limit?: number; readonly shapes?: readonly Shape[] }>> = {
  endpoint: { limit: MAX_URL, shapes: ENDPOINT_SHAPES },
  "endpoint with a scheme": { limit: MAX_URL - "redis://".length },
  "endpoint's options": { limit: MAX_URL - "sqlite:./x.db?".length },
  "tagged JSON": { shapes: JSON_SHAPES },
};

const program = buildProgram(async () => {});

/** Every parser of the core and of the command. */
export const PARSERS: readonly Parser[] = [
  ...CORE_PARSERS.map(([name, parse]) => parser(name, CORE[name]?.limit ?? ANY_TEXT, parse, CORE[name]?.shapes)),
  parser("query of many parts", ANY_TEXT, (text) => parseQuery(jsonOr(text, {}) as P2PQuery), QUERY_SHAPES),
  parser("JSON with right names", ANY_TEXT, (text) => syntax(() => parseJson(text)), JSON_SHAPES),
  parser("JSON with an escaped name", ANY_TEXT, (text) =>
    syntax(() => parseJson(`{"\\n":${JSON.stringify(text)},"\\t":${text}}`)),
  ),
  parser("--where", MAX_ARGUMENT, (text) => parseWhere([text]), WHERE_SHAPES),
  parser("--where with a value", MAX_ARGUMENT - 2, (text) => parseWhere([`a=${text}`])),
  parser("--where with a list", MAX_ARGUMENT - 4, (text) => parseWhere([`a=[${text}]`])),
  parser(
    "--where, many times",
    ANY_TEXT,
    (text) => parseWhere(text.split(",").map((part) => `${part}=1`)),
    LIST_SHAPES,
  ),
  parser("value of a condition", ANY_TEXT, parseValue),
  parser("--native", ANY_TEXT, (text) => queryFrom({ native: text }), JSON_SHAPES),
  parser("--order-by", ANY_TEXT, (text) => queryFrom({ orderBy: collectList(text) }), LIST_SHAPES),
  parser("--fields", ANY_TEXT, (text) => queryFrom({ fields: collectList(text) }), LIST_SHAPES),
  parser("--limit", ANY_TEXT, wholeFrom(0)),
  parser("--batch-size", ANY_TEXT, wholeOrAuto),
  parser("--transfer-timeout", ANY_TEXT, duration),
  parser("--max-failures", ANY_TEXT, (text) => settingsFrom({ maxFailures: text })),
  parser("--transform of a worker", ANY_TEXT, (text) => collectNamed(text), LIST_SHAPES),
  parser(
    "a flag, many times",
    ANY_TEXT,
    (text) => text.split(",").reduce<string[]>((all, part) => collect(part, all), []),
    LIST_SHAPES,
  ),
  parser("command line", ANY_TEXT, (text) => typed(text.split(",")), LIST_SHAPES),
  parser("variables in an endpoint", ANY_TEXT, (text) => expandVariables(text, "The source"), ENDPOINT_SHAPES),
  parser("config file in YAML", MAX_CONFIG, (text) => loadConfig(file("fuzz.yaml", text)), YAML_SHAPES),
  parser("config file in JSON", MAX_CONFIG, (text) => loadConfig(file("fuzz.json", text)), CONFIG_SHAPES),
  parser(
    "checkpoint",
    MAX_CHECKPOINT,
    (text) => {
      file("fuzz.checkpoint.json", text);
      return store.load("fuzz");
    },
    CHECKPOINT_SHAPES,
  ),
  // Each line that is none costs an error, so that fewer do.
  { ...parser("dead letters", ANY_TEXT, (text) => readLetters(text), LETTER_SHAPES), longest: 100_000 },
  parser(
    "record of a dead letter",
    MAX_LETTER,
    (text) => readLetters(`{"phase":"write","record":${text.replaceAll("\n", " ")}}\n{"transferId":"t"}\n`),
    JSON_SHAPES,
  ),
];

/** A command line of `copy`: the first words are its endpoints, the rest what is parsed. */
async function typed(words: readonly string[]): Promise<void> {
  await program.parseAsync(["copy", "a:b", "c:d", ...words.flatMap((word) => ["--where", word])], { from: "user" });
}

/** What a parser may end in beside a result. */
export function isFine(error: unknown): boolean {
  return isP2PError(error) || error instanceof UsageError || isOfCommander(error);
}

/** What commander tells of a flag that is not right; it is bundled with the command. */
function isOfCommander(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return error instanceof Error && typeof code === "string" && code.startsWith("commander.");
}

/** `parseJson` stands in for `JSON.parse`, and says so: it may throw a SyntaxError, as nothing above it may. */
function syntax(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
}

function jsonOr(text: string, other: unknown): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return other;
  }
}
