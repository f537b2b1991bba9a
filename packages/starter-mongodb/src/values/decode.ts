import {
  base64,
  getField,
  type P2PId,
  type P2PRecord,
  type P2PValue,
  setField,
  TaggedValue,
} from "@omni/p2p-core/starter";
import { BsonBytes, broken } from "./bson-bytes.ts";
import { documentField } from "./document-field.ts";
import { Shape } from "./document-shape.ts";
import { joinSidecar, SIDECAR, untagged } from "./sidecar.ts";

/** Farthest a JavaScript date reaches from 1970, in ms. */
const MAX_TIME = 8.64e15;

/** What is nested deeper is looked at again by the core, which has a limit. */
const SOUND_DEPTH = 40;

/** Turns the 16 bytes of a Decimal128 into text: the driver knows how. */
export type DecimalText = (bytes: Uint8Array) => string;

/**
 * Makes records of BSON documents as the server sent them. The driver's own decoder would lose what it has no
 * JavaScript value for (symbols, dates beyond the year 275760, undefined) and would need a second pass over each value.
 */
export class RecordDecoder {
  readonly #decimalText: DecimalText;
  readonly #bytes = new BsonBytes();
  /** What the names of a document, and those of objects in it, become. */
  readonly #records = Shape.root(documentField);
  readonly #objects = Shape.root();
  /** Values of the fields of unfinished objects, the innermost last. */
  readonly #values: P2PValue[] = [];
  #valueCount = 0;
  #depth = 0;
  #isSound = true;

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
    const record = this.#fields(this.#records);
    this.#isSound &&= isSoundId(record.id);
    if (!Object.hasOwn(record, SIDECAR)) return record as P2PRecord;
    this.#isSound = false;
    const { [SIDECAR]: sidecar, ...others } = record;
    joinSidecar(others, sidecar!);
    return others as P2PRecord;
  }

  /**
   * Whether the record that was decoded last is surely valid. Text that is not Unicode, and dates that are none, do not
   * come out of BSON; a text of JSON may hold anything, and an id may be one that records cannot have.
   */
  get isSound(): boolean {
    return this.#isSound;
  }

  /** The `_id` alone, for a document of which the rest cannot be decoded. It comes first in what a server sends. */
  decodeId(document: Uint8Array): P2PId | undefined {
    try {
      this.#open(document);
      const type = this.#bytes.byte();
      return type !== 0 && this.#bytes.name() === "_id" ? (this.#value(type) as P2PId) : undefined;
    } catch {
      return undefined;
    }
  }

  #open(document: Uint8Array): void {
    this.#bytes.open(document);
    this.#valueCount = 0;
    this.#depth = 0;
    this.#isSound = true;
  }

  /** The fields up to the end of an object. */
  #fields(root: Shape): Record<string, P2PValue> {
    const values = this.#values;
    const from = this.#valueCount;
    let shape = root;
    let name: string | undefined;
    let type = this.#bytes.byte();
    for (; type !== 0; type = this.#bytes.byte()) {
      const { next } = shape;
      if (next !== undefined && this.#bytes.skipIf(next.bytes)) {
        shape = next;
      } else {
        name = this.#bytes.name();
        const longer = shape.with(name);
        if (longer === undefined) break;
        shape = longer;
      }
      const value = this.#value(type);
      values[this.#valueCount++] = value;
    }
    const object = shape.object(values, from);
    this.#valueCount = from;
    // The fields for which there is no shape any more.
    for (; type !== 0; type = this.#bytes.byte()) {
      name ??= this.#bytes.name();
      setField(object, root === this.#records ? documentField(name) : name, this.#value(type));
      name = undefined;
    }
    return object;
  }

  #value(type: number): P2PValue {
    switch (type) {
      case 0x01:
        return this.#bytes.double();
      case 0x02:
        return this.#bytes.string();
      case 0x03:
        return this.#object();
      case 0x04:
        return this.#array();
      case 0x05:
        return this.#binary();
      case 0x07:
        return new TaggedValue("mongodb:objectId", this.#bytes.hex(12));
      case 0x08:
        return this.#bytes.byte() === 1;
      case 0x09:
        return this.#date();
      case 0x0a:
        return null;
      case 0x10:
        return this.#bytes.int32();
      case 0x12:
        return this.#bytes.int64();
      default:
        return this.#rareValue(type);
    }
  }

  #rareValue(type: number): P2PValue {
    switch (type) {
      case 0x06:
        return new TaggedValue("mongodb:undefined", null);
      case 0x0b: {
        const pattern = this.#bytes.name();
        return new TaggedValue("mongodb:regex", { pattern, options: this.#bytes.name() });
      }
      case 0x0c: {
        const namespace = this.#bytes.string();
        return new TaggedValue("mongodb:dbPointer", { namespace, id: this.#bytes.hex(12) });
      }
      case 0x0d:
        return new TaggedValue("mongodb:code", this.#bytes.string());
      case 0x0e:
        return new TaggedValue("mongodb:symbol", this.#bytes.string());
      case 0x0f: {
        this.#bytes.skip(4);
        const code = this.#bytes.string();
        return new TaggedValue("mongodb:codeWithScope", { code, scope: this.#object() });
      }
      case 0x11: {
        const i = this.#bytes.uint32();
        return new TaggedValue("mongodb:timestamp", { t: this.#bytes.uint32(), i });
      }
      case 0x13:
        return new TaggedValue("mongodb:decimal128", this.#decimalText(this.#bytes.part(16)));
      case 0x7f:
        return new TaggedValue("mongodb:maxKey", null);
      case 0xff:
        return new TaggedValue("mongodb:minKey", null);
      default:
        throw broken(`holds a value of the unknown type ${type}`);
    }
  }

  #object(): P2PValue {
    this.#bytes.skip(4);
    this.#enter();
    const object = this.#fields(this.#objects);
    this.#depth--;
    if (Object.hasOwn(object, SIDECAR) && Object.keys(object).length === 1) {
      this.#isSound = false;
      return untagged(object);
    }
    if (typeof getField(object, "$ref") === "string" && Object.hasOwn(object, "$id")) {
      return new TaggedValue("mongodb:dbRef", object);
    }
    return object;
  }

  #enter(): void {
    if (++this.#depth > SOUND_DEPTH) this.#isSound = false;
  }

  #array(): P2PValue {
    this.#bytes.skip(4);
    this.#enter();
    const array: P2PValue[] = [];
    for (let type = this.#bytes.byte(); type !== 0; type = this.#bytes.byte()) {
      // The names of an array's elements are its indexes, in order.
      this.#bytes.skipName();
      array.push(this.#value(type));
    }
    this.#depth--;
    return array;
  }

  #date(): P2PValue {
    const low = this.#bytes.uint32();
    const high = this.#bytes.int32();
    const time = high * 2 ** 32 + low;
    if (Math.abs(time) <= MAX_TIME) return new Date(time);
    return new TaggedValue("mongodb:date", String((BigInt(high) << 32n) + BigInt(low)));
  }

  #binary(): P2PValue {
    let length = this.#bytes.int32();
    const subtype = this.#bytes.byte();
    if (subtype === 2) length = this.#bytes.int32();
    const bytes = this.#bytes.part(length);
    // A copy: the server's answer, of up to 16 MB, would stay in memory as long as any piece of it.
    if (subtype === 0) return new Uint8Array(bytes);
    if (subtype === 4 && length === 16) return new TaggedValue("mongodb:uuid", uuidText(bytes.toString("hex")));
    return new TaggedValue("mongodb:binary", { subtype, base64: base64(bytes) });
  }
}

/** Whether an id is of a kind of which all are valid, or is seen to be. */
function isSoundId(id: P2PValue | undefined): boolean {
  switch (typeof id) {
    case "string":
      return id !== "";
    case "number":
      return Number.isFinite(id);
    case "bigint":
    case "boolean":
      return true;
    default:
      return id instanceof TaggedValue && id.type === "mongodb:objectId";
  }
}

function uuidText(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
