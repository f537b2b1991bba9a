/** Dead letters into any store, by a starter. */
import { randomUUID } from "node:crypto";
import { parseConfig } from "../../config.ts";
import { messageOf, P2PError } from "../../errors.ts";
import type { JsonValue } from "../../model/json-value.ts";
import type { P2PRecord } from "../../model/record.ts";
import type { P2PDataTransferService } from "../../storage/service.ts";
import { writeWithRetry } from "../retry.ts";
import type { DeadLetter, DeadLetterSink } from "./dead-letter.ts";

/** Which run the letters are of, and how many there were. */
interface RunPosition {
  readonly run: string;
  readonly written: number;
}

/**
 * Writes dead letters as records to a store. Their ids are made of the transfer's, a name of the run that began it, and
 * the letter's number: so a new run replaces none of an earlier one, and a resumed run writes the same ones again. A
 * store cannot be cut back: after a crash between a letter and its checkpoint it may hold the letter of a record that
 * the resumed run wrote after all.
 */
export class EndpointDeadLetterSink implements DeadLetterSink {
  readonly location: string;
  readonly #service: P2PDataTransferService;
  readonly #closing = new AbortController();
  #position: RunPosition = { run: "", written: 0 };

  constructor(service: P2PDataTransferService, location: string) {
    this.#service = service;
    this.location = location;
  }

  async open(position: JsonValue): Promise<void> {
    const given = position as Partial<RunPosition> | null;
    // Numbers alone are positions of old, from before a run had a name.
    this.#position =
      typeof position === "number"
        ? { run: "", written: position }
        : typeof given?.run === "string" && typeof given.written === "number"
          ? { run: given.run, written: given.written }
          : { run: `${randomUUID().slice(0, 13)}:`, written: 0 };
  }

  async write(letters: readonly DeadLetter[]): Promise<JsonValue> {
    const records = letters.map(({ id, record, ...letter }, index): P2PRecord => {
      const number = String(this.#position.written + index).padStart(9, "0");
      return {
        ...letter,
        id: `${letter.transferId}:${this.#position.run}${number}`,
        recordId: id,
        ...(record && letter.phase === "write" && { record }),
      };
    });
    const write: P2PDataTransferService["writeToTarget"] = (some, options) =>
      this.#service.writeToTarget(some, options);
    const { failures } = await writeWithRetry(write, records, "upsert", parseConfig(), this.#closing.signal).catch(
      (error: unknown) => {
        // Never under the store's own code: a lost connection here is none of the transfer's two ends.
        throw this.#failed(error);
      },
    );
    if (failures[0]) throw this.#failed(failures[0].error);
    const { run, written } = this.#position;
    this.#position = { run, written: written + letters.length };
    return { ...this.#position };
  }

  async close(): Promise<void> {
    this.#closing.abort(new P2PError("CLOSED", "The store for dead letters was closed"));
  }

  #failed(cause: unknown): P2PError {
    return new P2PError(
      "DEAD_LETTER_FAILED",
      `Failed records could not be kept in ${this.location}: ${messageOf(cause)}. Mend the cause or name another place, and resume`,
      { cause },
    );
  }
}
