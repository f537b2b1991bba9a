import { ExitCode } from "./exit-code.ts";

const EXIT_CODES = { SIGINT: ExitCode.INTERRUPTED, SIGTERM: ExitCode.TERMINATED } as const;

type StopSignal = keyof typeof EXIT_CODES;

/** Longest that a clean stop may take, in ms; the core itself waits 2 s for what is under way. */
const GRACE_MS = 10_000;

/** Ctrl-C and SIGTERM: the first asks to stop cleanly, the second ends the process at once. */
export class Interrupts {
  readonly #controller = new AbortController();
  readonly #handlers: ReadonlyMap<StopSignal, () => void>;
  #by: StopSignal | undefined;
  /** Called at the first one. */
  onFirst: (() => void) | undefined;

  constructor() {
    const names = Object.keys(EXIT_CODES) as StopSignal[];
    this.#handlers = new Map(names.map((name) => [name, () => this.#stop(name)]));
    for (const [name, handler] of this.#handlers) process.on(name, handler);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The exit code that tells of it, once there was one. */
  get exitCode(): ExitCode | undefined {
    return this.#by && EXIT_CODES[this.#by];
  }

  #stop(name: StopSignal): void {
    if (this.#by !== undefined) process.exit(EXIT_CODES[name]);
    this.#by = name;
    this.onFirst?.();
    this.#controller.abort();
    setTimeout(() => process.exit(EXIT_CODES[name]), GRACE_MS).unref();
  }

  /** Ctrl-C at a prompt, where the terminal sends no signal. */
  interrupt(): void {
    this.#stop("SIGINT");
  }

  dispose(): void {
    for (const [name, handler] of this.#handlers) process.off(name, handler);
  }
}
