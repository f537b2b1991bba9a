/** One sink of dead letters for parallel parts. */
import { P2PError } from "../../errors.ts";
import type { JsonValue } from "../../model/json-value.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { DeadLetterSink } from "../dead-letters/dead-letter.ts";

/** A position in the one sink, as a part's checkpoint keeps it: the highest number is the furthest. */
interface SharedPosition {
  readonly number: number;
  readonly at: JsonValue;
}

/**
 * One sink of dead letters for all parts. Until the letters of one part are in its checkpoint no other part writes
 * any: so the furthest position in the checkpoints has every letter that they know of before it, and none else.
 */
export class SharedLetters {
  readonly #sink: DeadLetterSink;
  readonly #transferId: string;
  #number: number;
  #from: JsonValue;
  /** Resolves when whoever wrote last has saved its checkpoint. */
  #turn: Promise<void> = Promise.resolve();
  #broken = false;

  /** @param checkpoints those of the parts of an earlier run. */
  constructor(sink: DeadLetterSink, transferId: string, checkpoints: readonly Checkpoint[]) {
    this.#sink = sink;
    this.#transferId = transferId;
    const positions = checkpoints.flatMap(({ deadLetterPosition }) =>
      deadLetterPosition === null ? [] : [deadLetterPosition as unknown as SharedPosition],
    );
    const furthest = positions.reduce((a, b) => (b.number > a.number ? b : a), { number: 0, at: null as JsonValue });
    this.#number = furthest.number;
    this.#from = furthest.at;
  }

  async open(): Promise<void> {
    await this.#sink.open(this.#from);
  }

  async close(): Promise<void> {
    await this.#sink.close();
  }

  /**
   * The sink as one part sees it.
   *
   * @param savesCheckpoints whether `saved` will be called with every checkpoint of the part.
   */
  forPart(savesCheckpoints: boolean): PartLetters {
    let written: number | undefined;
    let pass = () => {};
    return {
      location: this.#sink.location,
      open: async () => {},
      write: async (letters) => {
        const before = this.#turn;
        const mine = Promise.withResolvers<void>();
        this.#turn = mine.promise;
        await before;
        try {
          if (this.#broken) throw new P2PError("DEAD_LETTER_FAILED", "The transfer has ended in another part");
          const at = await this.#sink.write(letters.map((letter) => ({ ...letter, transferId: this.#transferId })));
          const position: SharedPosition = { number: ++this.#number, at };
          if (savesCheckpoints) {
            written = position.number;
            pass = mine.resolve;
          } else mine.resolve();
          return position as unknown as JsonValue;
        } catch (error) {
          mine.resolve();
          throw error;
        }
      },
      flush: async () => this.#sink.flush?.(),
      saved: ({ deadLetterPosition }) => {
        if (written === undefined || (deadLetterPosition as unknown as SharedPosition | null)?.number !== written)
          return;
        written = undefined;
        pass();
      },
      close: async () => {
        // Its letters are in no checkpoint: nothing may come after them, so that resuming cuts them off.
        if (written === undefined) return;
        this.#broken = true;
        pass();
      },
    };
  }
}

/** A part's view of the sink, which hears of the part's checkpoints. */
export interface PartLetters extends DeadLetterSink {
  saved(checkpoint: Checkpoint): void;
}
