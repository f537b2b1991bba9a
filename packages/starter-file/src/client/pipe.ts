/** Output streams: standard output, devices and named pipes, which keep nothing that could be taken back. */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";
import { P2PError } from "@omni/p2p-core/starter";
import { codeOf, writeError } from "./errors.ts";

/** A stream that is written to, with back-pressure. */
export class Pipe {
  readonly #label: string;
  readonly #stream: Writable;
  readonly #isStdout: boolean;
  #error: unknown;

  /** @param path `-` for standard output. */
  constructor(path: string, label: string) {
    this.#label = label;
    this.#isStdout = path === "-";
    this.#stream = this.#isStdout ? process.stdout : createWriteStream(path, { flags: "w" });
    this.#stream.on("error", this.#note);
  }

  readonly #note = (error: unknown): void => {
    this.#error ??= error;
  };

  async write(bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(bytes, (error) => (error ? reject(this.#told(error)) : resolve()));
    });
  }

  #assertOpen(): void {
    if (this.#error !== undefined) throw this.#told(this.#error);
  }

  #told(error: unknown): P2PError {
    if (codeOf(error) !== "EPIPE" && codeOf(error) !== "ERR_STREAM_DESTROYED") return writeError(this.#label, error);
    return new P2PError("ABORTED", `${this.#label} was closed by its reader, so the transfer ends`, { cause: error });
  }

  async close(): Promise<void> {
    // Standard output is the process's, and others may still write to it.
    if (!this.#isStdout && !this.#stream.destroyed) {
      this.#stream.end();
      await once(this.#stream, "close").catch(this.#note);
    }
    this.#stream.off("error", this.#note);
  }
}
