import { setImmediate } from "node:timers/promises";
import { ExitCode } from "../exit-code.ts";
import type { OutputFlags } from "../flags/output.ts";
import { Output } from "../output/output.ts";
import { UsageError } from "../usage-error.ts";
import { Interrupts } from "./interrupts.ts";

/** What a command has around it. */
export interface Session {
  readonly out: Output;
  readonly interrupts: Interrupts;
  /** Aborts on Ctrl-C, on SIGTERM, and when nobody reads the output any more. */
  readonly signal: AbortSignal;
  /** The words after the program's name. */
  readonly argv: readonly string[];
  /** Whether somebody can be asked for a password. */
  readonly interactive: boolean;
}

/** Runs a command's work and turns whatever comes of it into an exit code. */
export async function runInSession(
  argv: readonly string[],
  flags: OutputFlags,
  task: (session: Session) => Promise<ExitCode>,
): Promise<ExitCode> {
  const out = new Output(flags);
  const interrupts = new Interrupts();
  const closed = new AbortController();
  out.onClosed = () => closed.abort();
  const interactive = process.stdin.isTTY === true && process.stderr.isTTY === true;
  const signal = AbortSignal.any([interrupts.signal, closed.signal]);
  try {
    const code = await task({ out, interrupts, signal, argv, interactive });
    // A pipe tells one turn later that its reader is gone.
    await setImmediate();
    if (interrupts.exitCode !== undefined) return interrupts.exitCode;
    const failure = code === ExitCode.OK ? out.failure : out.unwritten;
    if (failure !== undefined) return reportUnwritten(code, failure, out);
    return closed.signal.aborted ? ExitCode.BROKEN_PIPE : code;
  } catch (error) {
    if (interrupts.exitCode !== undefined) return interrupts.exitCode;
    if (out.unwritten !== undefined) return reportUnwritten(ExitCode.OK, out.unwritten, out);
    if (closed.signal.aborted) return ExitCode.BROKEN_PIPE;
    return await report(error, out);
  } finally {
    interrupts.dispose();
  }
}

async function report(error: unknown, out: Output): Promise<ExitCode> {
  if (error instanceof UsageError) {
    out.error({ code: "USAGE", message: error.message, next: error.next });
    return ExitCode.USAGE;
  }
  // The core is loaded by whatever threw one of its errors; a mistyped word does not need it.
  const { explain } = await import("./explain.ts");
  const { exitCode, ...explained } = explain(error);
  out.error(explained);
  return exitCode;
}

/** What was asked for could not be printed. How the work itself went is told first. */
function reportUnwritten(code: ExitCode, { message }: NodeJS.ErrnoException, out: Output): ExitCode {
  const done = code === ExitCode.OK ? "" : ` The work itself ended with exit code ${code}.`;
  out.error({
    code: "UNWRITTEN",
    message: `stdout could not be written: ${message}.${done}`,
    next: "the same command with its output on a disk that has room",
  });
  return code === ExitCode.OK ? ExitCode.UNWRITTEN : code;
}

/** Tells of a mistyped command line. */
export function reportUsage(message: string, next: string, json: boolean): void {
  new Output({ json }).error({ code: "USAGE", message, next });
}
