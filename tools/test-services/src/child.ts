import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { atExit } from "./at-exit.ts";
import type { User } from "./run-program.ts";

/**
 * A server process of ours. It is tied to this process by the pipe on its stdin and ends when that closes, whether we
 * stop it, exit, or are killed.
 */
export interface Child {
  readonly pid: number;
  /** The first line that it wrote to stdout. */
  readonly firstLine: string;
  /** Asks it to end, and kills it when it does not within `graceMs`. Resolves when it is gone. */
  stop(graceMs?: number): Promise<void>;
  /** Kills it at once, as a crash would. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Rejects with the end of its log when it ends; never resolves. For racing against a wait for it. */
  readonly died: Promise<never>;
  hasEnded(): boolean;
}

/** How a server process is started. */
export interface ChildOptions {
  readonly name: string;
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** How long the first line may take, in milliseconds. @default 60_000 */
  readonly startTimeoutMs?: number | undefined;
  /** The user that it runs as. @default this process's own */
  readonly user?: User | undefined;
  /** What it is sent when this process exits. @default "SIGKILL" */
  readonly exitSignal?: NodeJS.Signals | undefined;
  /** The process to kill, where the one we start is only its keeper. @default the started process */
  readonly pidFrom?: ((firstLine: string) => number) | undefined;
}

/** Starts a server process and waits for the first line on its stdout. */
export async function startChild(command: string, args: readonly string[], options: ChildOptions): Promise<Child> {
  const { name, cwd, env, user, startTimeoutMs = 60_000, exitSignal = "SIGKILL", pidFrom } = options;
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    ...user,
    stdio: ["pipe", "pipe", "pipe"],
    // A group of its own, so that Ctrl-C in a terminal reaches only us, and we end it in order.
    detached: true,
  });
  const log = keepLastLines(child);
  // Writing to a server that is gone is no news.
  child.stdin.on("error", () => {});

  const gone = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  const died = new Promise<never>((_, reject) => {
    child.once("error", (error) => reject(new Error(`${name} could not be started: ${error.message}`)));
    child.once("close", (code, signal) =>
      reject(new Error(`${name} ended with ${signal ?? `code ${code}`}: ${log().trim() || "it said nothing"}`)),
    );
  });
  died.catch(() => {});

  const firstLine = await Promise.race([readFirstLine(child.stdout), died, timeout(startTimeoutMs, name, log)]).catch(
    (error: unknown) => {
      child.kill("SIGKILL");
      throw error;
    },
  );
  const pid = pidFrom?.(firstLine) ?? child.pid ?? 0;
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const send = (signal: NodeJS.Signals) => {
    if (!hasEnded()) process.kill(pid, signal);
  };
  const killNow = () => send("SIGKILL");
  // The closed pipe ends it anyway; this only makes it quick, before its data folder is removed.
  gone.then(atExit(() => send(exitSignal)));
  letGo(child);

  return {
    pid,
    firstLine,
    died,
    hasEnded,
    async stop(graceMs = 15_000) {
      child.ref();
      child.stdin.end();
      const timer = setTimeout(killNow, graceMs);
      await gone;
      clearTimeout(timer);
    },
    async kill() {
      child.ref();
      killNow();
      await gone;
    },
  };
}

type PipedChild = ChildProcessByStdio<Writable, Readable, Readable>;

/** A script that forgets to stop a server must still be able to end. */
function letGo(child: PipedChild): void {
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    if ("unref" in stream && typeof stream.unref === "function") stream.unref();
  }
}

async function readFirstLine(stdout: Readable): Promise<string> {
  const lines = createInterface({ input: stdout });
  const [line] = (await once(lines, "line")) as [string];
  lines.close();
  // Left unread the pipe would fill up and block the server.
  stdout.resume();
  return line;
}

function keepLastLines(child: PipedChild): () => string {
  let kept = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    kept = (kept + text).slice(-4000);
  });
  return () => kept;
}

async function timeout(ms: number, name: string, log: () => string): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, ms).unref());
  throw new Error(`${name} was not ready after ${ms / 1000} s: ${log().trim() || "it said nothing"}`);
}
