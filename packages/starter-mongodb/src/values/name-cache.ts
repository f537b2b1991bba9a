/** Names kept at most; a power of two. */
const SLOTS = 1024;
/** Longer names are not kept. */
const LONGEST = 64;

interface Slot {
  readonly bytes: Uint8Array;
  readonly text: string;
}

/**
 * Makes strings of field names. A collection has few names and each comes again in every document, so that finding the
 * string by the bytes is much cheaper than decoding them anew; also, equal names are then the same string.
 */
export class NameCache {
  readonly #slots: (Slot | undefined)[] = new Array(SLOTS).fill(undefined);

  /** The name between two places of a buffer. */
  read(buffer: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length > LONGEST) return buffer.toString("utf8", start, end);
    let hash = length;
    for (let at = start; at < end; at++) hash = (hash * 31 + buffer[at]!) | 0;
    const index = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    const slot = this.#slots[index];
    if (slot !== undefined && slot.bytes.length === length && same(slot.bytes, buffer, start)) return slot.text;
    const text = buffer.toString("utf8", start, end);
    this.#slots[index] = { bytes: new Uint8Array(buffer.subarray(start, end)), text };
    return text;
  }
}

function same(bytes: Uint8Array, buffer: Buffer, start: number): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== buffer[start + i]) return false;
  return true;
}
