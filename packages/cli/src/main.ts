import { CommanderError } from "commander";
import { ExitCode } from "./exit-code.ts";
import { buildProgram } from "./program.ts";

/**
 * Runs the command line.
 *
 * @param argv the words after the program's name.
 * @returns the exit code.
 */
export async function main(argv: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = ExitCode.OK;
  const program = buildProgram(async (options, task) => {
    // Everything heavier than the arguments is loaded from here on.
    const { runInSession } = await import("./session/session.ts");
    exitCode = await runInSession(argv, options, task);
  });
  try {
    await program.parseAsync([...argv], { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return ExitCode.OK;
    if (error.code !== "commander.help") await reportMistyped(argv, error);
    return ExitCode.USAGE;
  }
}

async function reportMistyped(argv: readonly string[], error: CommanderError): Promise<void> {
  const { reportUsage } = await import("./session/session.ts");
  const [command] = argv;
  const named = command !== undefined && !command.startsWith("-") && error.code !== "commander.unknownCommand";
  reportUsage(
    error.message.replace(/^error: /, "").replace(/\n\(Did you mean (.*)\?\)/, " (did you mean $1?)"),
    named ? `omni-p2p ${command} --help` : "omni-p2p --help",
    argv.includes("--json"),
  );
}
