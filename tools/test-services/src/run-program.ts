import { spawn } from "node:child_process";

/** A user of the machine, as a process is started with. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** How a program is run to its end. */
export interface RunOptions {
  readonly cwd?: string | undefined;
  /** Variables on top of this process's own. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** The user that it runs as. @default this process's own */
  readonly user?: User | undefined;
  /** After so many milliseconds it is killed. A download that hangs must not hang the tests. @default 900_000 */
  readonly timeoutMs?: number | undefined;
  /** Resolves with stderr's text as well, for programs that say their version there. @default false */
  readonly withStderr?: boolean | undefined;
}

/**
 * Runs a program to its end and resolves with what it wrote to stdout. When it fails, the error's message names it and
 * ends with the last lines of its output.
 */
export function runProgram(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      ...options.user,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 900_000);
    let stdout = "";
    let both = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      both += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      both += text;
    });
    child.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(new Error(error.code === "ENOENT" ? `${command} is not installed` : `${command}: ${error.message}`));
    });
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(options.withStderr ? both : stdout);
      else reject(new Error(`${command} ended with ${signal ?? `code ${code}`}: ${lastLines(both)}`));
    });
  });
}

function lastLines(output: string): string {
  return output.trim().split("\n").slice(-8).join("\n");
}
