import { isUtf8 } from "node:buffer";
import { P2PError } from "@omni/p2p-core/starter";
import { NameCache } from "./name-cache.ts";

/** The bytes of a BSON document, read from the first element on. */
export class BsonBytes {
  readonly #names = new NameCache();
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  open(document: Uint8Array): void {
    this.#bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
    this.#at = 4;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw broken("ends too early");
    return byte;
  }

  int32(): number {
    return this.#bytes.readInt32LE(this.skip(4));
  }

  uint32(): number {
    return this.#bytes.readUInt32LE(this.skip(4));
  }

  int64(): bigint {
    return this.#bytes.readBigInt64LE(this.skip(8));
  }

  double(): number {
    return this.#bytes.readDoubleLE(this.skip(8));
  }

  hex(length: number): string {
    const start = this.skip(length);
    return this.#bytes.toString("hex", start, start + length);
  }

  /** So many bytes, as a part of the whole. */
  part(length: number): Buffer {
    const start = this.skip(length);
    return this.#bytes.subarray(start, start + length);
  }

  string(): string {
    const length = this.int32();
    const start = this.skip(length);
    const end = start + length - 1;
    const text = this.#bytes.toString("utf8", start, end);
    // Decoding replaces what is not UTF-8 by U+FFFD, which may also stand there by right.
    if (text.includes("\ufffd") && !isUtf8(this.#bytes.subarray(start, end)))
      throw broken("has text that is not UTF-8");
    return text;
  }

  name(): string {
    const [start, end] = [this.#at, this.skipName()];
    return this.#names.read(this.#bytes, start, end);
  }

  /** Passes over a name and says where it ends. */
  skipName(): number {
    const bytes = this.#bytes;
    let at = this.#at;
    while (bytes[at] !== 0) if (++at >= bytes.length) throw broken("ends too early");
    this.#at = at + 1;
    return at;
  }

  /** Passes over these bytes if they are the next ones. */
  skipIf(expected: Uint8Array): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false;
    this.#at = at + expected.length;
    return true;
  }

  /** Passes over so many bytes and says where they start. */
  skip(length: number): number {
    const start = this.#at;
    this.#at = start + length;
    if (length < 0 || this.#at > this.#bytes.length) throw broken("has a length that does not fit");
    return start;
  }
}

/** The error for what no faultless client can have written. */
export function broken(what: string): P2PError {
  return new P2PError("INVALID_RECORD", `The document ${what}; it was damaged, or written by a faulty client`);
}
