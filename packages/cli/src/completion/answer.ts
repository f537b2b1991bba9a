import { RootCommand } from "@bomb.sh/tab";
import type { Command, Option } from "commander";
import { ExitCode } from "../exit-code.ts";
import type { Session } from "../session/session.ts";
import { type Candidates, endpointCandidates, fileCandidates } from "./candidates.ts";
import { listedNames, namedCollections } from "./collections.ts";

/** Where a file's name is wanted. */
const FILES: ReadonlySet<string> = new Set(["transform", "config", "dead-letter", "state-dir", "dead letters", "file"]);
/** Options that take names of collections, with commas between. */
const NAME_LISTS: ReadonlySet<string> = new Set(["--tables", "--exclude"]);
const ENDPOINTS: ReadonlySet<string> = new Set(["source", "target", "endpoint"]);

/** `omni-p2p complete -- <words>`: what the word at the end may become. The shells' scripts call it. */
export async function answerCompletion(
  program: Command,
  words: readonly string[],
  session: Session,
): Promise<ExitCode> {
  // A quote that is still open belongs to the shell.
  const partial = (words.at(-1) ?? "").replace(/^['"]/, "");
  const endpoints = ((await namedCollections(partial, session)) ?? (await endpointCandidates(partial))).filter(
    ([word]) => word.startsWith(partial),
  );
  const lists = NAME_LISTS.has(words.at(-2) ?? "") ? await listedNames(partial, databaseIn(words), session) : [];
  const tree = new RootCommand();
  for (const command of program.createHelp().visibleCommands(program)) {
    const known = tree.command(command.name(), command.description());
    for (const argument of command.registeredArguments) {
      const name = argument.name();
      const offered = candidatesFor(name, argument.argChoices, endpoints, partial);
      known.argument(name, offering(offered));
    }
    for (const option of command.createHelp().visibleOptions(command)) addOption(known, option, partial, lists);
  }
  // Of a word with an equals sign the library looks at what follows it alone, as if it were an option.
  const isValue = partial.includes("=") && !partial.startsWith("-");
  tree.parse([...words.slice(0, -1), isValue ? "" : partial]);
  return ExitCode.OK;
}

/** The first endpoint after the command: the database that names are of. */
function databaseIn(words: readonly string[]): string {
  return words.slice(1).find((word) => !word.startsWith("-")) ?? "";
}

function candidatesFor(
  name: string,
  choices: readonly string[] | undefined,
  endpoints: Candidates,
  partial: string,
): Candidates {
  if (choices) return choices.map((choice) => [choice, ""]);
  if (ENDPOINTS.has(name)) return endpoints;
  return FILES.has(name) ? fileCandidates(partial) : [];
}

function addOption(
  command: ReturnType<RootCommand["command"]>,
  option: Option,
  partial: string,
  lists: Candidates,
): void {
  const name = option.long?.slice(2);
  if (name === undefined) return;
  const letter = option.short?.slice(1);
  if (!option.required && !option.optional) {
    command.option(name, option.description, letter);
    return;
  }
  const offered = NAME_LISTS.has(`--${name}`) ? lists : candidatesFor(name, option.argChoices, [], partial);
  command.option(name, option.description, offering(offered), letter);
}

/** Candidates in the form in which the library asks for them. */
function offering(candidates: Candidates): (offer: (value: string, meaning: string) => void) => void {
  return (offer) => {
    for (const [value, meaning] of candidates) offer(value, meaning);
  };
}
