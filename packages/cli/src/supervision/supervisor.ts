/** Supervisor: a parent process that hears signals while the work is in its child. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ExitCode } from "../exit-code.ts";
import { SIGNAL_CODES, type StopSignal, type ToSupervisor, type ToWork } from "./channel.ts";

/** Longest that a clean stop may take, in ms; the core itself waits 2 s for what is under way. */
const GRACE_MS = 10_000;

/** Time in which the work is expected to hear that it is to stop, and longest that it is waited for then, in ms. */
const HEARD_MS = 1000;
const DEAF_MS = 5000;

/** What the work has beyond its own timers before it is ended by force, in ms. */
const LIMIT_GRACE_MS = 5000;

/** Time in which a process that can still listen leaves by itself, and a terminal is as it was before, in ms. */
const LEAVE_MS = 250;

/** Time that clients have to close after the work is done, in ms; the process itself waits 2 s. */
const CLOSING_MS = 4000;

/** One signal that a runner such as npx passes on comes twice, within this time in ms. */
const PASSED_ON_MS = 250;

/**
 * The largest half of V8's young generation in the working process, in MB. Records live as long as their batch is under
 * way, so that a larger one is filled with garbage of several batches before it is ever cleared.
 */
const SEMI_SPACE_MB = 8;

/**
 * Runs the command's work in a process of its own and stays free to hear signals and timers: an endless view of an
 * SQLite file, or a transform that never returns, blocks the event loop of whoever runs it.
 */
export async function supervise(argv: readonly string[]): Promise<ExitCode> {
  return new Supervisor(argv).ended;
}

class Supervisor {
  readonly ended: Promise<ExitCode>;
  readonly #json: boolean;
  readonly #quiet: boolean;
  readonly #child: ReturnType<typeof spawn>;
  readonly #settle: (code: ExitCode) => void;
  readonly #limits = new Map<number, NodeJS.Timeout>();
  readonly #heardAt = new Map<StopSignal, number>();
  readonly #handlers: ReadonlyMap<StopSignal, () => void>;
  /** How it ends, once that is decided here. */
  #code: ExitCode | undefined;
  #stopping = false;
  #unheard: readonly NodeJS.Timeout[] = [];
  #way: string | undefined;

  constructor(argv: readonly string[]) {
    // The words are parsed by the other process: what only supervises stays small.
    this.#json = argv.includes("--json");
    this.#quiet = argv.includes("--quiet") || argv.includes("-q");
    const { promise, resolve } = Promise.withResolvers<ExitCode>();
    this.ended = promise;
    this.#settle = resolve;
    for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
    const names = Object.keys(SIGNAL_CODES) as StopSignal[];
    this.#handlers = new Map(names.map((name) => [name, () => this.#heard(name)]));
    for (const [name, handler] of this.#handlers) process.on(name, handler);
    const work = fileURLToPath(new URL("./work.js", import.meta.url));
    this.#child = spawn(process.execPath, [...nodeOptions(), work, ...argv], {
      stdio: ["inherit", "inherit", "inherit", "ipc"],
    });
    this.#child.on("message", (message) => this.#told(message as ToSupervisor));
    this.#child.on("error", (error) => {
      // Of a message that found no reader the exit tells more.
      if (this.#child.pid !== undefined) return;
      this.#say(`This command could not start the process for its work: ${error.message}`, "UNEXPECTED", undefined);
      this.#finish(ExitCode.FAILED);
    });
    this.#child.on("exit", (code, signal) => this.#finish(this.#code ?? this.#codeOf(code, signal)));
  }

  #told(message: ToSupervisor): void {
    switch (message.kind) {
      case "signal":
        // On a terminal both processes get it; here it counts only when it was sent to the other alone.
        setTimeout(() => {
          if (performance.now() - (this.#heardAt.get(message.name) ?? Number.NEGATIVE_INFINITY) > 1000) {
            this.#heard(message.name);
          }
        }, 100);
        break;
      case "stopping":
        for (const timer of this.#unheard) clearTimeout(timer);
        break;
      case "way":
        this.#way = message.text;
        break;
      case "limit":
        this.#limits.set(
          message.id,
          setTimeout(() => this.#overrun(message.message), message.ms + LIMIT_GRACE_MS),
        );
        break;
      case "within":
        clearTimeout(this.#limits.get(message.id));
        this.#limits.delete(message.id);
        break;
      case "ended":
        this.#code ??= message.code;
        setTimeout(() => this.#kill(), CLOSING_MS).unref();
        break;
    }
  }

  #heard(name: StopSignal): void {
    const before = this.#heardAt.get(name);
    const now = performance.now();
    this.#heardAt.set(name, now);
    if (before !== undefined && now - before < PASSED_ON_MS && process.env.npm_execpath !== undefined) return;
    const code = SIGNAL_CODES[name];
    if (this.#stopping) {
      this.#end(code, "Stopped at once; what was under way is not finished.", "ABORTED");
      return;
    }
    this.#stopping = true;
    this.#tell({ kind: "stop", name });
    const end = (ms: number) => () =>
      this.#end(code, `It did not stop by itself within ${ms / 1000} s, and was ended.`, "ABORTED");
    setTimeout(end(GRACE_MS), GRACE_MS).unref();
    this.#unheard = [
      setTimeout(() => {
        if (this.#quiet) return;
        process.stderr.write("Stopping: a store or a transform does not answer yet. Ctrl-C again stops at once.\n");
      }, HEARD_MS),
      setTimeout(end(DEAF_MS), DEAF_MS),
    ];
  }

  #overrun(message: string): void {
    this.#end(ExitCode.FAILED, `${message}. It heeded no timer, and was ended.`, "TIMEOUT");
  }

  /** Ends the working process whatever it does. */
  #end(code: ExitCode, text: string, errorCode: "ABORTED" | "TIMEOUT"): void {
    if (this.#code !== undefined) {
      this.#kill();
      return;
    }
    this.#code = code;
    this.#tell({ kind: "leave", code });
    setTimeout(() => this.#kill(), LEAVE_MS);
    this.#child.once("exit", () => this.#say(text, errorCode, this.#way));
  }

  #kill(): void {
    this.#child.kill("SIGKILL");
  }

  #tell(message: ToWork): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #codeOf(code: number | null, signal: NodeJS.Signals | null): ExitCode {
    if (signal !== null && Object.hasOwn(SIGNAL_CODES, signal)) return SIGNAL_CODES[signal as StopSignal];
    // 134 and 139 tell of an abort and of a fault where there are no signals.
    if (code !== null && code !== 134 && code !== 139) return code as ExitCode;
    const why = signal === "SIGKILL" ? "SIGKILL, as the system does when memory is short" : (signal ?? `code ${code}`);
    this.#say(`The process that did the work was ended by ${why}.`, "UNEXPECTED", this.#way);
    return ExitCode.FAILED;
  }

  #finish(code: ExitCode): void {
    for (const timer of [...this.#limits.values(), ...this.#unheard]) clearTimeout(timer);
    for (const [name, handler] of this.#handlers) process.off(name, handler);
    this.#settle(code);
  }

  #say(text: string, code: string, way: string | undefined): void {
    // Whoever was killed while a live line was drawn has left the cursor hidden.
    if (process.stderr.isTTY) process.stderr.write("\u001b[?25h");
    if (this.#json) {
      const event = { event: "error", code, message: text, ...(way !== undefined && { next: way }) };
      process.stdout.write(`${JSON.stringify(event)}\n`);
    }
    process.stderr.write(`omni-p2p: ${text}\n${way === undefined ? "" : `Go on with: ${way}\n`}`);
  }
}

/** Node's own options for the working process: those of this one, and a young generation of a fixed size. */
function nodeOptions(): string[] {
  const given = [...process.execArgv, process.env.NODE_OPTIONS ?? ""].join(" ");
  return /--(max-)?semi[-_]space/.test(given.replaceAll("_", "-"))
    ? [...process.execArgv]
    : [...process.execArgv, `--max-semi-space-size=${SEMI_SPACE_MB}`];
}
