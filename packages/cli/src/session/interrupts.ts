import type { ExitCode } from "../exit-code.ts";
import { isSupervised, SIGNAL_CODES, type StopSignal, type ToWork, tellSupervisor } from "../supervision/channel.ts";

/**
 * Ctrl-C, SIGTERM and SIGHUP, as the supervisor passes them on: the first asks to stop cleanly; at the second the
 * supervisor ends this process.
 */
export class Interrupts {
  readonly #controller = new AbortController();
  readonly #handlers: ReadonlyMap<StopSignal, () => void>;
  readonly #listen = (message: unknown) => this.#told(message as ToWork);
  #by: StopSignal | undefined;
  /** Called at the first one. */
  onFirst: (() => void) | undefined;

  constructor() {
    const names = Object.keys(SIGNAL_CODES) as StopSignal[];
    this.#handlers = new Map(names.map((name) => [name, () => this.#heard(name)]));
    for (const [name, handler] of this.#handlers) process.on(name, handler);
    process.on("message", this.#listen);
    process.on("disconnect", endWithSupervisor);
    // The work alone keeps the process.
    process.channel?.unref();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The exit code that tells of it, once there was one. */
  get exitCode(): ExitCode | undefined {
    return this.#by && SIGNAL_CODES[this.#by];
  }

  #heard(name: StopSignal): void {
    if (isSupervised()) tellSupervisor({ kind: "signal", name });
    else if (this.#by !== undefined) process.exit(SIGNAL_CODES[name]);
    else this.#stop(name);
  }

  #told(message: ToWork): void {
    if (message.kind === "stop") this.#stop(message.name);
    else process.exit(message.code);
  }

  #stop(name: StopSignal): void {
    if (this.#by !== undefined) return;
    this.#by = name;
    tellSupervisor({ kind: "stopping" });
    this.onFirst?.();
    this.#controller.abort();
  }

  /** Ctrl-C at a prompt, where the terminal sends no signal. */
  interrupt(): void {
    this.#stop("SIGINT");
  }

  dispose(): void {
    for (const [name, handler] of this.#handlers) process.off(name, handler);
    process.off("message", this.#listen);
    process.off("disconnect", endWithSupervisor);
  }
}

/** Whoever kills the supervisor means the command: nothing goes on behind their back. */
function endWithSupervisor(): void {
  process.kill(process.pid, "SIGKILL");
}
