/** The child process that reads, as the one that began it sees it. */
import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { onAbort, P2PError } from "@omni/p2p-core/starter";
import { unpackError } from "../client/packed-error.ts";
import type { FromReader, ReaderRequest } from "./reader-messages.ts";

/** What the process sees of this one's environment: where programs and temporary files are. */
const ENVIRONMENT = ["PATH", "TMPDIR", "TEMP", "TMP", "SQLITE_TMPDIR", "SystemRoot", "LD_LIBRARY_PATH"];

/** A child process that reads, as the one that began it sees it: it is asked for one thing at a time, and can be killed. */
export class ReaderChild {
  readonly #label: string;
  readonly #child: ChildProcess;
  readonly #messages: FromReader[] = [];
  #waiting: (() => void) | undefined;
  #ended: string | undefined;

  private constructor(label: string, file: string) {
    this.#label = label;
    this.#child = fork(file, {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      execArgv: [],
      env: Object.fromEntries(ENVIRONMENT.map((name) => [name, process.env[name]])),
    });
    this.#child.on("message", (message: FromReader) => {
      this.#messages.push(message);
      this.#waiting?.();
    });
    const end = (how: string) => {
      this.#ended ??= how;
      this.#waiting?.();
    };
    this.#child.on("error", (error) => end(error.message));
    this.#child.on("exit", (code, signal) => end(signal === null ? `exit code ${code}` : signal));
  }

  /** @returns `undefined` where there can be none, for instance in a bundle that leaves out its file. */
  static async begin(label: string, signal: AbortSignal): Promise<ReaderChild | undefined> {
    const file = processFile();
    if (file === undefined) return undefined;
    let reader: ReaderChild;
    try {
      reader = new ReaderChild(label, file);
    } catch {
      // Where processes are not allowed.
      return undefined;
    }
    try {
      await reader.#next(signal);
      return reader;
    } catch (error) {
      reader.kill();
      signal.throwIfAborted();
      if (error instanceof P2PError) return undefined;
      throw error;
    }
  }

  get isAlive(): boolean {
    return this.#ended === undefined && this.#child.connected;
  }

  ask(request: ReaderRequest): void {
    this.#child.ref();
    this.#child.channel?.ref();
    this.#child.send(request, () => {});
  }

  /** Asks for the next batch. */
  goOn(): void {
    this.#child.send({ kind: "next" }, () => {});
  }

  /** Lets the process that uses it end. */
  rest(): void {
    this.#child.unref();
    this.#child.channel?.unref();
  }

  kill(): void {
    this.#child.kill("SIGKILL");
    this.rest();
  }

  /** @throws what the other process threw, or the signal's reason, after which it is of no more use. */
  async answer(signal: AbortSignal): Promise<FromReader> {
    const message = await this.#next(signal);
    if (message.kind === "failed") throw unpackError(message.error);
    return message;
  }

  async #next(signal: AbortSignal): Promise<FromReader> {
    for (;;) {
      signal.throwIfAborted();
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.#ended !== undefined) {
        throw new P2PError(
          "READ_FAILED",
          `The process that read ${this.#label} ended (${this.#ended}); if it does so again, the file may be damaged: see PRAGMA integrity_check`,
          { retryable: true },
        );
      }
      await new Promise<void>((resolve) => {
        const forget = onAbort(signal, () => this.#waiting?.());
        this.#waiting = () => {
          forget();
          this.#waiting = undefined;
          resolve();
        };
      });
    }
  }
}

/** Beside this file, in the sources as in the package; `undefined` where it is not, or where Node is inside another program. */
function processFile(): string | undefined {
  const here: string | undefined = import.meta.url;
  if (here === undefined || process.versions.electron !== undefined) return undefined;
  try {
    const file = fileURLToPath(new URL(here.endsWith(".ts") ? "./reader-process.ts" : "./reader-process.js", here));
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
}
