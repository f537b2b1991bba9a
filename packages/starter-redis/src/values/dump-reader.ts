import { uncompressLzf } from "./lzf.ts";

/** A place beyond the end of the payload, or a form that this reader does not know. */
export class UnknownDump extends Error {}

/**
 * Reads the parts of which the payload of a DUMP is made: lengths, strings, and the packed lists that Redis keeps small
 * values in.
 *
 * Source: `rdb.c`, `ziplist.c`, `listpack.c` and `intset.c` of Redis 7.0.
 */
export class DumpReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  take(length: number): Buffer {
    if (length > this.left) throw new UnknownDump("it ends too early");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** A number of things. */
  length(): number {
    const { encoded, value } = this.#lengthOrEncoding();
    if (encoded) throw new UnknownDump("a length is none");
    return value;
  }

  #lengthOrEncoding(): { encoded: boolean; value: number } {
    const first = this.byte();
    switch (first >> 6) {
      case 0:
        return { encoded: false, value: first & 0x3f };
      case 1:
        return { encoded: false, value: ((first & 0x3f) << 8) | this.byte() };
      case 3:
        return { encoded: true, value: first & 0x3f };
      default:
        if (first === 0x80) return { encoded: false, value: this.take(4).readUInt32BE() };
        if (first === 0x81) return { encoded: false, value: Number(this.take(8).readBigUInt64BE()) };
        throw new UnknownDump("a length is of an unknown form");
    }
  }

  /** A string, also one that was kept as a number or compressed. */
  string(): Buffer {
    const { encoded, value } = this.#lengthOrEncoding();
    if (!encoded) return this.take(value);
    switch (value) {
      case 0:
        return text(this.take(1).readInt8());
      case 1:
        return text(this.take(2).readInt16LE());
      case 2:
        return text(this.take(4).readInt32LE());
      case 3: {
        const packed = this.length();
        const length = this.length();
        return uncompressLzf(this.take(packed), length);
      }
      default:
        throw new UnknownDump("a string is of an unknown form");
    }
  }

  /** The score of a member in the form of old servers: a text, or a sign for what has none. */
  oldScore(): number {
    const length = this.byte();
    if (length === 253) return Number.NaN;
    if (length === 254) return Number.POSITIVE_INFINITY;
    if (length === 255) return Number.NEGATIVE_INFINITY;
    return Number(this.take(length).toString("latin1"));
  }

  score(): number {
    return this.take(8).readDoubleLE();
  }
}

/** The members of a set of whole numbers. */
export function intsetMembers(bytes: Buffer): Buffer[] {
  const reader = new DumpReader(bytes);
  const width = reader.take(4).readUInt32LE();
  const count = reader.take(4).readUInt32LE();
  if (width !== 2 && width !== 4 && width !== 8) throw new UnknownDump("an intset is of an unknown form");
  return Array.from({ length: count }, () => {
    const number = reader.take(width);
    return text(width === 8 ? number.readBigInt64LE() : number.readIntLE(0, width));
  });
}

/** The items of a ziplist. */
export function ziplistItems(bytes: Buffer): Buffer[] {
  const reader = new DumpReader(bytes);
  reader.take(10);
  const items: Buffer[] = [];
  for (;;) {
    const before = reader.byte();
    if (before === 0xff) return items;
    if (before === 0xfe) reader.take(4);
    items.push(ziplistItem(reader));
  }
}

function ziplistItem(reader: DumpReader): Buffer {
  const first = reader.byte();
  if (first >> 6 === 0) return reader.take(first & 0x3f);
  if (first >> 6 === 1) return reader.take(((first & 0x3f) << 8) | reader.byte());
  switch (first) {
    case 0x80:
      return reader.take(reader.take(4).readUInt32BE());
    case 0xc0:
      return text(reader.take(2).readInt16LE());
    case 0xd0:
      return text(reader.take(4).readInt32LE());
    case 0xe0:
      return text(reader.take(8).readBigInt64LE());
    case 0xf0:
      return text(reader.take(3).readIntLE(0, 3));
    case 0xfe:
      return text(reader.take(1).readInt8());
    default:
      if (first >= 0xf1 && first <= 0xfd) return text((first & 0x0f) - 1);
      throw new UnknownDump("a ziplist is of an unknown form");
  }
}

/** The items of a listpack. */
export function listpackItems(bytes: Buffer): Buffer[] {
  const reader = new DumpReader(bytes);
  reader.take(6);
  const items: Buffer[] = [];
  for (;;) {
    const before = reader.left;
    const first = reader.byte();
    if (first === 0xff) return items;
    items.push(listpackItem(first, reader));
    reader.take(backLengthBytes(before - reader.left));
  }
}

function listpackItem(first: number, reader: DumpReader): Buffer {
  if (first < 0x80) return text(first);
  if (first < 0xc0) return reader.take(first & 0x3f);
  if (first < 0xe0) {
    const number = ((first & 0x1f) << 8) | reader.byte();
    return text(number >= 1 << 12 ? number - (1 << 13) : number);
  }
  if (first < 0xf0) return reader.take(((first & 0x0f) << 8) | reader.byte());
  switch (first) {
    case 0xf0:
      return reader.take(reader.take(4).readUInt32LE());
    case 0xf1:
      return text(reader.take(2).readInt16LE());
    case 0xf2:
      return text(reader.take(3).readIntLE(0, 3));
    case 0xf3:
      return text(reader.take(4).readInt32LE());
    case 0xf4:
      return text(reader.take(8).readBigInt64LE());
    default:
      throw new UnknownDump("a listpack is of an unknown form");
  }
}

/** Bytes in which a listpack says how long the item before was. */
function backLengthBytes(length: number): number {
  if (length <= 127) return 1;
  if (length < 16_383) return 2;
  if (length < 2_097_151) return 3;
  return length < 268_435_455 ? 4 : 5;
}

function text(number: number | bigint): Buffer {
  return Buffer.from(String(number), "latin1");
}
