import { onAbort } from "../async/abort.ts";
import { settleSoon } from "../async/deadline.ts";

/** The connection, taken for a read. */
export interface ReadTurn<T> {
  readonly batches: AsyncGenerator<T, void, undefined>;
  /** Aborts when the read is cancelled, or its connection closed. */
  readonly signal: AbortSignal;
  /** Gives the connection back. */
  leave(): void;
  /** Gives it back after something was thrown, and tells the error for it. */
  fail(thrown: unknown): unknown;
}

/**
 * An asynchronous iterator that holds its connection from the first batch on. A generator could not let go of it when it is
 * cancelled while nobody asks for the next batch, as in the middle of a loop's body; this one does, and tells who asks later.
 */
export class ReadSession<T> implements AsyncGenerator<T, void, undefined> {
  readonly #begin: () => Promise<ReadTurn<T>>;
  #turn: ReadTurn<T> | undefined;
  /** Takes the listener away from the signal, which may last longer than this. */
  #forget: (() => void) | undefined;
  #isOver = false;
  #untold: { readonly error: unknown } | undefined;
  /** Calls are served one after the other, as those of a generator. */
  #before: Promise<unknown> = Promise.resolve();

  constructor(begin: () => Promise<ReadTurn<T>>) {
    this.#begin = begin;
  }

  next(): Promise<IteratorResult<T, void>> {
    return this.#inTurn(async () => {
      if (this.#isOver) return this.#afterEnd();
      try {
        this.#turn ??= await this.#take();
        const step = await this.#turn.batches.next();
        if (step.done) this.#end();
        return step;
      } catch (thrown) {
        throw this.#end({ thrown });
      }
    });
  }

  return(): Promise<IteratorResult<T, void>> {
    return this.#inTurn(async () => {
      if (!this.#isOver) await this.#close();
      return { done: true, value: undefined };
    });
  }

  throw(error: unknown): Promise<IteratorResult<T, void>> {
    return this.#inTurn(async () => {
      if (!this.#isOver) await this.#close();
      throw error;
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #take(): Promise<ReadTurn<T>> {
    const turn = await this.#begin();
    const cancel = () => {
      // What is under way ends by the same signal first, and tells of it.
      void this.#inTurn(async () => {
        if (this.#isOver) return;
        await settleSoon([turn.batches.return()]);
        this.#untold = { error: this.#end({ thrown: turn.signal.reason }) };
      });
    };
    this.#forget = onAbort(turn.signal, cancel);
    return turn;
  }

  #afterEnd(): IteratorResult<T, void> {
    const untold = this.#untold;
    this.#untold = undefined;
    if (untold) throw untold.error;
    return { done: true, value: undefined };
  }

  async #close(): Promise<void> {
    try {
      await this.#turn?.batches.return();
      this.#end();
    } catch (thrown) {
      throw this.#end({ thrown });
    }
  }

  /** @returns the error to throw, where something was thrown. */
  #end(failure?: { readonly thrown: unknown }): unknown {
    this.#isOver = true;
    this.#forget?.();
    if (!failure) this.#turn?.leave();
    return failure && (this.#turn ? this.#turn.fail(failure.thrown) : failure.thrown);
  }

  #inTurn<R>(work: () => Promise<R>): Promise<R> {
    const mine = this.#before.then(work);
    this.#before = mine.catch(() => {});
    return mine;
  }
}
