import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { P2PError, type P2PErrorCode } from "../errors.ts";
import { type JsonValue, toJson } from "../storage/json.ts";
import type { P2PRecord } from "../storage/record.ts";

/** A record that failed for good, with all that is needed to mend and replay it. */
export interface DeadLetter {
  readonly transferId: string;
  /** The record's id as text; empty when it has none. */
  readonly id: string;
  readonly phase: "read" | "transform" | "write";
  readonly code: P2PErrorCode;
  readonly reason: string;
  /** How often it was sent to the target. */
  readonly attempts: number;
  /** Where it stood: its number among the records read, from 0. */
  readonly position: number;
  /** ISO 8601. */
  readonly at: string;
  /**
   * What was to be written (phase `write`) or went into the transform (phase `transform`); absent when it could not
   * be read.
   */
  readonly record?: P2PRecord;
}

/** Takes the dead letters of a transfer, in the order of the source. */
export interface DeadLetterSink {
  /** How people find it: a file's path, an endpoint. */
  readonly location: string;
  /**
   * Opens the sink at a position it gave before; what it holds beyond is dropped. `null` means the beginning.
   *
   * @throws P2PError `DEAD_LETTER_FAILED`
   */
  open(position: JsonValue): Promise<void>;
  /**
   * Keeps the letters safe before it resolves, and tells the position after them.
   *
   * @throws P2PError `DEAD_LETTER_FAILED`
   */
  write(letters: readonly DeadLetter[]): Promise<JsonValue>;
  /** Makes sure that what was written survives a loss of power; called before the checkpoint is made to. */
  flush?(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Writes dead letters to a file, one JSON object a line (NDJSON). The file is made with the first letter; a position
 * is its length in bytes.
 */
export class FileDeadLetterSink implements DeadLetterSink {
  readonly location: string;
  #handle: FileHandle | undefined;
  #position = 0;

  /** @param file Folders above it are made when they are missing. */
  constructor(file: string) {
    this.location = resolve(file);
  }

  async open(position: JsonValue): Promise<void> {
    this.#position = typeof position === "number" ? position : 0;
    try {
      const handle = await open(this.location, "r+");
      await this.#cut(handle).finally(() => handle.close());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw this.#failed(error);
      if (this.#position > 0) throw this.#failed(new Error("the file with the letters of the earlier run is gone"));
    }
  }

  async #cut(handle: FileHandle): Promise<void> {
    const { size } = await handle.stat();
    // Cutting a shorter file would lengthen it, with zeros.
    if (size < this.#position) throw new Error("letters of the earlier run are missing from it");
    await handle.truncate(this.#position);
  }

  async write(letters: readonly DeadLetter[]): Promise<JsonValue> {
    const lines = letters.map((letter) => `${JSON.stringify(letterToJson(letter))}\n`).join("");
    const bytes = Buffer.from(lines);
    try {
      await this.#opened();
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#handle!.write(bytes, done, bytes.length - done, this.#position + done);
        done += bytesWritten;
      }
      this.#position += bytes.length;
    } catch (error) {
      await this.#handle?.truncate(this.#position).catch(() => {});
      throw this.#failed(error);
    }
    return this.#position;
  }

  async #opened(): Promise<void> {
    if (this.#handle) return;
    await mkdir(dirname(this.location), { recursive: true });
    this.#handle = await open(this.location, this.#position > 0 ? "r+" : "w");
  }

  async flush(): Promise<void> {
    try {
      await this.#handle?.datasync();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  #failed(cause: unknown): P2PError {
    return new P2PError(
      "DEAD_LETTER_FAILED",
      `Failed records could not be kept in ${this.location}: ${(cause as Error).message}. Make room or give another deadLetters file, and resume`,
      { cause },
    );
  }
}

/** A dead letter as plain JSON, as it stands in a file. */
export function letterToJson(letter: DeadLetter): JsonValue {
  const { record, ...rest } = letter;
  if (record === undefined) return rest;
  try {
    return { ...rest, record: toJson(record) };
  } catch {
    // A thing that is no valid record (an invalid date, a circle) is shown as well as it can be.
    return { ...rest, record: describe(record, 0) };
  }
}

function describe(value: unknown, depth: number): JsonValue {
  if (typeof value !== "object" || value === null || value instanceof Date || value instanceof Uint8Array)
    return String(value);
  if (depth > 4) return "…";
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, describe(inner, depth + 1)]));
}
