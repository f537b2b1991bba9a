import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { ExitCode } from "../src/exit-code.ts";
import { buildProgram } from "../src/program.ts";

const program = buildProgram(async () => {});
/** The README, and its translation on the site. */
const documents = ["../README.md", "../../../docs/zh/cli.md"].map(
  (path) => [path.replace(/^(\.\.\/)+/, ""), readFileSync(new URL(path, import.meta.url), "utf8")] as const,
);

function commands(): readonly Command[] {
  return program.createHelp().visibleCommands(program);
}

/** `copy --limit <n>` for every option of every command. */
function optionsInHelp(): Set<string> {
  return new Set(
    commands().flatMap((command) =>
      command
        .createHelp()
        .visibleOptions(command)
        .map((option) => `${command.name()} ${option.flags}`),
    ),
  );
}

/** The same from a document's tables of options. */
function optionsIn(document: string): Set<string> {
  const rows = document.matchAll(/^\| `(-[^`]*)` *\|.*\| +([a-z, ]+?) +\|$/gm);
  return new Set([...rows].flatMap(([, flags, names]) => names!.split(", ").map((name) => `${name} ${flags}`)));
}

/** The kinds of lines that `--json` writes, as they are declared. */
function eventNames(): string[] {
  const declared = readFileSync(new URL("../src/output/events.ts", import.meta.url), "utf8");
  return [...declared.matchAll(/readonly event: "([^"]+)"/g)].map(([, name]) => name!);
}

describe("help", () => {
  it("lists the commands", () => {
    expect(program.helpInformation()).toMatchSnapshot();
  });

  it.each(commands().map((command) => [command.name(), command] as const))("of %s", (_, command) => {
    expect(command.helpInformation()).toMatchSnapshot();
  });
});

describe.each(documents)("%s", (_, document) => {
  it("tells of every option, and of no other", () => {
    expect([...optionsIn(document)].sort()).toEqual([...optionsInHelp()].sort());
  });

  it("names every command, and no other", () => {
    const named = [...document.matchAll(/^\| `omni-p2p (\w+)/gm)].map(([, name]) => name);
    expect(named.sort()).toEqual(
      commands()
        .map((command) => command.name())
        .sort(),
    );
  });

  it("mentions no option that does not exist", () => {
    const known = new Set(
      ["--version", ...program.options, ...commands().flatMap((command) => command.options)].flatMap((option) =>
        typeof option === "string" ? option : [option.long, option.short],
      ),
    );
    known.add("--help").add("-h");
    const mentioned = [...document.matchAll(/`(--[a-z][a-z-]*)/g)].map(([, name]) => name!);
    expect(mentioned.filter((name) => !known.has(name))).toEqual([]);
  });

  it("has every exit code, and no other", () => {
    const told = [...document.matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code));
    expect(told).toEqual(Object.values(ExitCode));
  });

  it("names every event of --json, and no other", () => {
    const [told = ""] = /`start`.*?`error`/s.exec(document) ?? [];
    expect([...told.matchAll(/`([^`]+)`/g)].map(([, name]) => name!).sort()).toEqual(eventNames().sort());
  });
});
