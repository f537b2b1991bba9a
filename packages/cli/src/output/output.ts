import { styleText } from "node:util";
import type { OutputFlags } from "../flags/output.ts";
import type { CliEvent } from "./events.ts";
import { printable } from "./printable.ts";

/** An error as it is shown. */
export interface ShownError {
  readonly code: string;
  readonly message: string;
  /** What to type next. */
  readonly next?: string | undefined;
  /** Stack and causes, for those who asked for them. */
  readonly details?: string | undefined;
}

/**
 * Everything that the command prints: results and JSON on stdout, the rest on stderr. When the reader of stdout goes
 * away, or stdout cannot be written, what is printed there is let go, and `onClosed` is called once; what stderr cannot
 * take is let go.
 */
export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  onClosed: (() => void) | undefined;
  /** Called before a line goes to the terminal, so that a live line can make way. */
  beforeLine: (() => void) | undefined;
  /** Records go to stdout, and everything else to stderr. */
  #isForRecords = false;
  #closed = false;
  #failure: NodeJS.ErrnoException | undefined;

  constructor({ json = false, quiet = false }: OutputFlags) {
    this.json = json;
    this.quiet = quiet;
    process.stderr.on("error", () => {});
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
      // A terminal that is gone answers so, and elsewhere it is the disk.
      const isGone = error.code === "EPIPE" || (error.code === "EIO" && process.stdout.isTTY);
      if (!isGone) this.#failure ??= error;
      this.#close();
    });
  }

  /** Why stdout could not be written, other than that its reader went away. */
  get failure(): NodeJS.ErrnoException | undefined {
    return this.#failure;
  }

  /** What could not be told on stdout, and why; records that could not be written there are told of by their transfer. */
  get unwritten(): NodeJS.ErrnoException | undefined {
    return this.#isForRecords ? undefined : this.#failure;
  }

  /** Leaves stdout to the records of a transfer: what else there is to print goes to stderr. */
  leaveStdout(): void {
    this.#isForRecords = true;
  }

  /** Whether the reader of stdout went away. */
  get isClosed(): boolean {
    return this.#closed;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onClosed?.();
  }

  /** A line of a report for people. */
  line(text: string): void {
    if (!this.json && !this.quiet) this.data(text);
  }

  /** A line that is what was asked for, also when quiet. */
  data(text: string): void {
    this.beforeLine?.();
    if (this.#isForRecords) process.stderr.write(`${text}\n`);
    else if (!this.#closed) process.stdout.write(`${text}\n`);
  }

  /** A remark beside the report. */
  note(text: string): void {
    if (this.quiet) return;
    this.beforeLine?.();
    process.stderr.write(`${text}\n`);
  }

  /** A line of JSON, for programs. */
  event(event: CliEvent): void {
    if (this.json) this.data(JSON.stringify(event));
  }

  error({ code, message, next, details }: ShownError): void {
    this.event({ event: "error", code, message, ...(next !== undefined && { next }) });
    this.beforeLine?.();
    const name = styleText("red", "omni-p2p:", { stream: process.stderr });
    process.stderr.write(`${name} ${printable(message, true)}\n`);
    if (next !== undefined) process.stderr.write(`  Next: ${printable(next)}\n`);
    if (details !== undefined) process.stderr.write(`${printable(details, true)}\n`);
  }
}
