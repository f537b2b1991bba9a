import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { buildProgram } from "../src/program.ts";

const program = buildProgram(async () => {});
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

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

/** The same from the README's tables of options. */
function optionsInReadme(): Set<string> {
  const rows = readme.matchAll(/^\| `(-[^`]*)` *\|.*\| +([a-z, ]+?) +\|$/gm);
  return new Set([...rows].flatMap(([, flags, names]) => names!.split(", ").map((name) => `${name} ${flags}`)));
}

describe("help", () => {
  it("lists the commands", () => {
    expect(program.helpInformation()).toMatchSnapshot();
  });

  it.each(commands().map((command) => [command.name(), command] as const))("of %s", (_, command) => {
    expect(command.helpInformation()).toMatchSnapshot();
  });

  it("tells of every option in the README, and of no other", () => {
    expect([...optionsInReadme()].sort()).toEqual([...optionsInHelp()].sort());
  });

  it("names every command in the README, and no other", () => {
    const named = [...readme.matchAll(/^\| `omni-p2p (\w+)/gm)].map(([, name]) => name);
    expect(named.sort()).toEqual(
      commands()
        .map((command) => command.name())
        .sort(),
    );
  });

  it("mentions no option in the README that does not exist", () => {
    const known = new Set(
      ["--version", ...program.options, ...commands().flatMap((command) => command.options)].flatMap((option) =>
        typeof option === "string" ? option : [option.long, option.short],
      ),
    );
    known.add("--help").add("-h");
    const mentioned = [...readme.matchAll(/`(--[a-z][a-z-]*)/g)].map(([, name]) => name!);
    expect(mentioned.filter((name) => !known.has(name))).toEqual([]);
  });
});
