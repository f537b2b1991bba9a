/** A buffered writer into SipHash: what is to be hashed is serialised straight into its memory. */
import { INPUT_AT, INPUT_END, SipHash } from "./siphash.ts";

/** Most characters of a text that is copied here: of a longer one a call of the runtime is quicker. */
const SHORT = 48;

/** Characters of a long text that are written at a time: at most three bytes each. */
const PIECE = 16_384;

/** Bytes that there is always room for after {@link SipHashInput.makeRoom} or a text. */
const ROOM = 64;

/** Takes pieces one after the other; each says itself where it ends, so that what is hashed needs no other marks. */
export class SipHashInput {
  readonly #hash: SipHash;
  readonly #bytes: Buffer;
  readonly #view: DataView;
  #at = INPUT_AT;

  /** @param key 16 bytes. */
  constructor(key: Uint8Array) {
    this.#hash = new SipHash(key);
    this.#bytes = this.#hash.bytes;
    this.#view = this.#hash.view;
  }

  begin(): void {
    this.#hash.begin();
    this.#at = INPUT_AT;
  }

  /** @param into takes the four words of the hash. */
  finish(into: Uint32Array): Uint32Array {
    const bytes = this.#bytes;
    let at = this.#at;
    while ((at & 7) !== 0) bytes[at++] = 0;
    if (at > INPUT_AT) this.#hash.absorb(at);
    this.#hash.finish();
    const { output } = this.#hash;
    for (let word = 0; word < 4; word++) into[word] = output[word]!;
    return into;
  }

  /** Makes room for a number of small pieces. */
  makeRoom(): void {
    if (this.#at + ROOM > INPUT_END) this.#flush();
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  /** A number of 32 bits. */
  word(value: number): void {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  /** A number of 64 bits. */
  double(value: number): void {
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  /** A text with its length, in UTF-8. */
  string(text: string): void {
    const { length } = text;
    if (this.#at + length * 3 + 2 * ROOM > INPUT_END) {
      this.#flush();
      if (length > PIECE) {
        this.#longString(text);
        return;
      }
    }
    this.word(length);
    const at = this.#at;
    if (length <= SHORT) {
      const bytes = this.#bytes;
      let read = 0;
      for (; read < length; read++) {
        const code = text.charCodeAt(read);
        if (code > 0x7f) break;
        bytes[at + read] = code;
      }
      if (read === length) {
        this.#at = at + length;
        return;
      }
    }
    this.#at = at + this.#bytes.write(text, at);
  }

  #longString(text: string): void {
    this.word(text.length);
    for (let from = 0; from < text.length; ) {
      let to = Math.min(text.length, from + PIECE);
      // Not between the two halves of a character.
      if (to < text.length && (text.charCodeAt(to - 1) & 0xfc00) === 0xd800) to--;
      this.#flush();
      this.#at += this.#bytes.write(text.slice(from, to), this.#at);
      from = to;
    }
    this.#flush();
  }

  /** Takes in what has been written, but for less than eight bytes. */
  #flush(): void {
    const whole = this.#at & ~7;
    if (whole > INPUT_AT) this.#hash.absorb(whole);
    this.#bytes.copyWithin(INPUT_AT, whole, this.#at);
    this.#at = INPUT_AT + (this.#at - whole);
  }
}
