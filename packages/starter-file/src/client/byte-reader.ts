/** A buffered reader over chunks of bytes, which can look ahead and give back. */

/** Reads chunks by as many bytes as are wanted. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);
  /** Bytes taken so far. */
  offset = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Up to so many bytes, without taking them; fewer only at the end. */
  async peek(length: number): Promise<Uint8Array> {
    while (this.#held.length < length) {
      const next = await this.#chunks.next();
      if (next.done) break;
      this.#held = this.#held.length === 0 ? next.value : Buffer.concat([this.#held, next.value]);
    }
    return this.#held.subarray(0, length);
  }

  /** Exactly so many bytes, or `undefined` where the end comes first. */
  async take(length: number): Promise<Uint8Array | undefined> {
    const bytes = await this.peek(length);
    if (bytes.length < length) return undefined;
    this.#drop(length);
    return bytes;
  }

  /** What is at hand, at most so many bytes; empty at the end. */
  async some(most: number): Promise<Uint8Array> {
    await this.peek(1);
    const bytes = this.#held.subarray(0, most);
    this.#drop(bytes.length);
    return bytes;
  }

  /** Gives back bytes that were taken last. */
  giveBack(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([bytes, this.#held]);
    this.offset -= bytes.length;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  #drop(length: number): void {
    this.#held = this.#held.subarray(length);
    this.offset += length;
  }
}
