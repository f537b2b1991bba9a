import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isP2PError } from "@omni/p2p-core";
import { loadConfig } from "../../../packages/cli/src/config/load.ts";
import { parseValue } from "../../../packages/cli/src/query/value.ts";
import { parseWhere } from "../../../packages/cli/src/query/where.ts";
import { UsageError } from "../../../packages/cli/src/usage-error.ts";
import { FileCheckpointStore, parseEndpoint } from "../../../packages/core/src/index.ts";
import { parseJson } from "../../../packages/core/src/model/parse-json.ts";
import { deadLetterStarter } from "../../../packages/core/src/transfer/dead-letters/dead-letter-source.ts";
import { PARSERS as CORE_PARSERS } from "../../../packages/core/test/support/hostile.ts";

/** Something that takes a text of anybody's making. */
export interface Parser {
  readonly name: string;
  /** Longest text to try, in characters: its limit, or 1 MB where it has none or a larger one. */
  readonly longest: number;
  parse(text: string): unknown;
}

const MB = 1_000_000;

const LIMITS: Readonly<Record<string, number>> = {
  endpoint: 65_536,
  "endpoint with a scheme": 65_528,
  "endpoint's options": 65_523,
};

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

/** Every parser of the core and of the command. */
export const PARSERS: readonly Parser[] = [
  ...CORE_PARSERS.map(([name, parse]) => ({ name, longest: LIMITS[name] ?? MB, parse })),
  { name: "JSON with right names", longest: MB, parse: (text) => syntax(() => parseJson(text)) },
  {
    name: "JSON with an escaped name",
    longest: MB,
    parse: (text) => syntax(() => parseJson(`{"\\n":${JSON.stringify(text)},"\\t":${text}}`)),
  },
  { name: "--where", longest: 131_072, parse: (text) => parseWhere([text]) },
  { name: "--where with a value", longest: 131_070, parse: (text) => parseWhere([`a=${text}`]) },
  { name: "--where with a list", longest: 131_068, parse: (text) => parseWhere([`a=[${text}]`]) },
  { name: "value of a flag", longest: MB, parse: parseValue },
  { name: "config file in YAML", longest: 262_144, parse: (text) => loadConfig(file("fuzz.yaml", text)) },
  { name: "config file in JSON", longest: 262_144, parse: (text) => loadConfig(file("fuzz.json", text)) },
  {
    name: "checkpoint",
    longest: MB,
    parse: (text) => {
      file("fuzz.checkpoint.json", text);
      return store.load("fuzz");
    },
  },
  { name: "dead letters", longest: MB, parse: (text) => readLetters(text) },
  {
    name: "record of a dead letter",
    longest: MB,
    parse: (text) => readLetters(`{"transferId":"t","id":"1","phase":"write","record":${text}}\n{"transferId":"t"}\n`),
  },
];

/** What a parser may end in beside a result. */
export function isFine(error: unknown): boolean {
  return isP2PError(error) || error instanceof UsageError;
}

/** `parseJson` stands in for `JSON.parse`, and says so: it may throw a SyntaxError, as nothing above it may. */
function syntax(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
}
