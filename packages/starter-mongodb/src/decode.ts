import { isUtf8 } from "node:buffer";
import {
  base64,
  getField,
  P2PError,
  type P2PId,
  type P2PRecord,
  type P2PValue,
  setField,
  TaggedValue,
} from "@omni/p2p-core";
import { NameCache } from "./name-cache.ts";
import { joinSidecar, SIDECAR, untagged } from "./sidecar.ts";

/** Farthest a JavaScript date reaches from 1970, in ms. */
const MAX_TIME = 8.64e15;

/** Turns the 16 bytes of a Decimal128 into text: the driver knows how. */
export type DecimalText = (bytes: Uint8Array) => string;

/**
 * Makes records of BSON documents as the server sent them. The driver's own decoder would lose what it has no
 * JavaScript value for (symbols, dates beyond the year 275760, undefined) and would need a second pass over each value.
 */
export class RecordDecoder {
  readonly #decimalText: DecimalText;
  readonly #names = new NameCache();
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(decimalText: DecimalText) {
    this.#decimalText = decimalText;
  }

  /**
   * The record of a document: `_id` becomes `id`, a field `id` becomes `_id`, and the sidecar's fields join the others.
   *
   * @throws P2PError `INVALID_RECORD`
   */
  decode(document: Uint8Array): P2PRecord {
    this.#open(document);
    const record: Record<string, P2PValue> = {};
    let sidecar: P2PValue | undefined;
    for (let type = this.#byte(); type !== 0; type = this.#byte()) {
      const name = this.#name();
      const value = this.#value(type);
      if (name === "_id") record.id = value;
      else if (name === "id") record._id = value;
      else if (name === SIDECAR) sidecar = value;
      else if (name === "__proto__") setField(record, name, value);
      else record[name] = value;
    }
    if (sidecar !== undefined) joinSidecar(record, sidecar);
    return record as P2PRecord;
  }

  /** The `_id` alone, for a document of which the rest cannot be decoded. It comes first in what a server sends. */
  decodeId(document: Uint8Array): P2PId | undefined {
    try {
      this.#open(document);
      const type = this.#byte();
      return type !== 0 && this.#name() === "_id" ? (this.#value(type) as P2PId) : undefined;
    } catch {
      return undefined;
    }
  }

  #open(document: Uint8Array): void {
    this.#bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
    this.#at = 4;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw broken("ends too early");
    return byte;
  }

  #name(): string {
    const [start, end] = [this.#at, this.#nameEnd()];
    return this.#names.read(this.#bytes, start, end);
  }

  /** Where the name that starts here ends; reading goes on after it. */
  #nameEnd(): number {
    const bytes = this.#bytes;
    let at = this.#at;
    while (bytes[at] !== 0) if (++at >= bytes.length) throw broken("ends too early");
    this.#at = at + 1;
    return at;
  }

  #value(type: number): P2PValue {
    switch (type) {
      case 0x01:
        return this.#bytes.readDoubleLE(this.#skip(8));
      case 0x02:
        return this.#string();
      case 0x03:
        return this.#object();
      case 0x04:
        return this.#array();
      case 0x05:
        return this.#binary();
      case 0x07:
        return new TaggedValue("mongodb:objectId", this.#hex(12));
      case 0x08:
        return this.#byte() === 1;
      case 0x09:
        return this.#date();
      case 0x0a:
        return null;
      case 0x10:
        return this.#bytes.readInt32LE(this.#skip(4));
      case 0x12:
        return this.#bytes.readBigInt64LE(this.#skip(8));
      default:
        return this.#rareValue(type);
    }
  }

  #rareValue(type: number): P2PValue {
    switch (type) {
      case 0x06:
        return new TaggedValue("mongodb:undefined", null);
      case 0x0b: {
        const pattern = this.#name();
        return new TaggedValue("mongodb:regex", { pattern, options: this.#name() });
      }
      case 0x0c: {
        const namespace = this.#string();
        return new TaggedValue("mongodb:dbPointer", { namespace, id: this.#hex(12) });
      }
      case 0x0d:
        return new TaggedValue("mongodb:code", this.#string());
      case 0x0e:
        return new TaggedValue("mongodb:symbol", this.#string());
      case 0x0f: {
        this.#skip(4);
        const code = this.#string();
        return new TaggedValue("mongodb:codeWithScope", { code, scope: this.#object() });
      }
      case 0x11: {
        const at = this.#skip(8);
        const [i, t] = [this.#bytes.readUInt32LE(at), this.#bytes.readUInt32LE(at + 4)];
        return new TaggedValue("mongodb:timestamp", { t, i });
      }
      case 0x13: {
        const at = this.#skip(16);
        return new TaggedValue("mongodb:decimal128", this.#decimalText(this.#bytes.subarray(at, at + 16)));
      }
      case 0x7f:
        return new TaggedValue("mongodb:maxKey", null);
      case 0xff:
        return new TaggedValue("mongodb:minKey", null);
      default:
        throw broken(`holds a value of the unknown type ${type}`);
    }
  }

  #object(): P2PValue {
    this.#skip(4);
    const object: Record<string, P2PValue> = {};
    let fields = 0;
    let last = "";
    for (let type = this.#byte(); type !== 0; type = this.#byte()) {
      last = this.#name();
      fields++;
      const value = this.#value(type);
      if (last === "__proto__") setField(object, last, value);
      else object[last] = value;
    }
    if (fields === 1 && last === SIDECAR) return untagged(object);
    if (fields > 1 && typeof getField(object, "$ref") === "string" && Object.hasOwn(object, "$id")) {
      return new TaggedValue("mongodb:dbRef", object);
    }
    return object;
  }

  #array(): P2PValue {
    this.#skip(4);
    const array: P2PValue[] = [];
    for (let type = this.#byte(); type !== 0; type = this.#byte()) {
      // The names of an array's elements are its indexes, in order.
      this.#nameEnd();
      array.push(this.#value(type));
    }
    return array;
  }

  #string(): string {
    const length = this.#bytes.readInt32LE(this.#skip(4));
    const start = this.#skip(length);
    const end = start + length - 1;
    const text = this.#bytes.toString("utf8", start, end);
    // Decoding replaces what is not UTF-8 by U+FFFD, which may also stand there by right.
    if (text.includes("\ufffd") && !isUtf8(this.#bytes.subarray(start, end)))
      throw broken("has text that is not UTF-8");
    return text;
  }

  #date(): P2PValue {
    const at = this.#skip(8);
    const time = this.#bytes.readInt32LE(at + 4) * 2 ** 32 + this.#bytes.readUInt32LE(at);
    if (Math.abs(time) <= MAX_TIME) return new Date(time);
    return new TaggedValue("mongodb:date", String(this.#bytes.readBigInt64LE(at)));
  }

  #binary(): P2PValue {
    let length = this.#bytes.readInt32LE(this.#skip(4));
    const subtype = this.#byte();
    if (subtype === 2) length = this.#bytes.readInt32LE(this.#skip(4));
    const start = this.#skip(length);
    const bytes = this.#bytes.subarray(start, start + length);
    // A copy: the server's answer, of up to 16 MB, would stay in memory as long as any piece of it.
    if (subtype === 0) return new Uint8Array(bytes);
    if (subtype === 4 && length === 16) return new TaggedValue("mongodb:uuid", uuidText(bytes.toString("hex")));
    return new TaggedValue("mongodb:binary", { subtype, base64: base64(bytes) });
  }

  #hex(length: number): string {
    const start = this.#skip(length);
    return this.#bytes.toString("hex", start, start + length);
  }

  /** Moves on by so many bytes and says where they start. */
  #skip(length: number): number {
    const start = this.#at;
    this.#at = start + length;
    if (length < 0 || this.#at > this.#bytes.length) throw broken("has a length that does not fit");
    return start;
  }
}

function uuidText(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function broken(what: string): P2PError {
  return new P2PError("INVALID_RECORD", `The document ${what}; it was damaged, or written by a faulty client`);
}
