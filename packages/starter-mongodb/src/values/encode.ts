import {
  encodeJson,
  type P2PId,
  type P2PObject,
  type P2PRecord,
  type P2PValue,
  setField,
  TaggedValue,
} from "@omni/p2p-core/starter";
import type * as Mongodb from "mongodb";
import type { Document } from "mongodb";
import type { Dialect } from "../client/dialect.ts";
import { documentField } from "./document-field.ts";
import { Shape } from "./document-shape.ts";
import { fitsLong, nearestNumber } from "./numbers.ts";
import { SIDECAR } from "./sidecar.ts";
import { tagEncoder } from "./tags.ts";

/** Stands in a shape for the name of a field that a document cannot have; no name of BSON holds a NUL. */
const UNFIT = "\0";

/** Makes documents of records. Values that the driver takes as they are are shared, not copied. */
export class RecordEncoder {
  readonly #dialect: Dialect;
  readonly #encodeTag: (value: TaggedValue, encode: (inner: P2PValue) => unknown) => unknown;
  readonly #shapes: Shape;
  /** Room for the values of a document that is being made. */
  readonly #values: unknown[] = [];
  #bytes = 0;

  constructor(dialect: Dialect, bson: typeof Mongodb) {
    this.#dialect = dialect;
    this.#encodeTag = tagEncoder(dialect.nativeTags, bson);
    this.#shapes = Shape.root((name) => (dialect.unfitName.test(name) ? UNFIT : documentField(name)));
  }

  /** An upper bound, not a close one, of the size of the document that was encoded last. */
  get sizeBound(): number {
    return this.#bytes;
  }

  /** The document of a record: the reverse of the decoder's `decode`. */
  document(record: P2PRecord): Document {
    this.#bytes = 0;
    return this.#plainDocument(record) ?? this.#anyDocument(record);
  }

  /** The document of a record of which every field has a place of its own; `undefined` for others. */
  #plainDocument(record: P2PRecord): Document | undefined {
    const keys = Object.keys(record);
    // Servers want the `_id` first.
    const names = keys[0] === "id" ? keys : ["id", ...keys.filter((key) => key !== "id")];
    let shape: Shape | undefined = this.#shapes;
    for (const name of names) {
      shape = shape.with(name);
      if (shape === undefined || shape.field === UNFIT) return undefined;
    }
    const values = this.#values;
    for (let i = 0; i < names.length; i++) {
      const value = record[names[i]!];
      if (value === undefined || nearestNumber(value, this.#dialect) !== undefined) return undefined;
      this.#bytes += names[i]!.length * 3 + 8;
      values[i] = names[i] === "id" ? this.id(value as P2PId) : this.value(value);
    }
    return shape.object(values, 0);
  }

  #anyDocument(record: P2PRecord): Document {
    this.#bytes = 0;
    const document: Document = { _id: this.id(record.id) };
    let sidecar: Record<string, P2PValue> | undefined;
    if (Object.is(record.id, -0) && !this.#dialect.specialNumbers) sidecar = { id: record.id };
    for (const name of Object.keys(record)) {
      if (name === "id") continue;
      const value = record[name];
      if (value === undefined) continue;
      const unfit = this.#dialect.unfitName.test(name);
      const near = unfit ? undefined : nearestNumber(value, this.#dialect);
      if (unfit || near !== undefined) {
        sidecar ??= {};
        setField(sidecar, name, value);
      }
      if (unfit) continue;
      this.#bytes += name.length * 3 + 8;
      setField(document, documentField(name), near ?? this.value(value));
    }
    if (sidecar !== undefined) document[SIDECAR] = this.#text(sidecar);
    return document;
  }

  /** The `_id` of an id. */
  id(id: P2PId): unknown {
    // 0 and -0 are one id, also where -0 cannot be kept.
    if (Object.is(id, -0) && !this.#dialect.specialNumbers) return 0;
    if (id instanceof TaggedValue && NEVER_ID.has(id.type)) return this.#escaped(id);
    return this.value(id);
  }

  /** What the driver is given for a value. */
  value(value: P2PValue): unknown {
    this.#bytes += 16;
    switch (typeof value) {
      case "string":
        this.#bytes += value.length * 3;
        return value;
      case "number":
        return this.#dialect.specialNumbers || (Number.isFinite(value) && !Object.is(value, -0))
          ? value
          : this.#escaped(value);
      case "bigint":
        return fitsLong(value) ? value : this.#escaped(value);
      case "object":
        return value === null ? null : this.#object(value);
      default:
        return value;
    }
  }

  #object(value: Exclude<P2PValue, null | boolean | number | bigint | string>): unknown {
    if (Array.isArray(value)) return this.#array(value);
    if (value instanceof Date) return value;
    if (value instanceof Uint8Array) {
      this.#bytes += value.length;
      return value;
    }
    if (value instanceof TaggedValue) {
      this.#bytes += 64;
      return this.#encodeTag(value, (inner) => this.value(inner)) ?? this.#escaped(value);
    }
    return this.#fields(value as P2PObject);
  }

  #array(array: readonly P2PValue[]): unknown {
    let copy: unknown[] | undefined;
    for (let i = 0; i < array.length; i++) {
      const item = array[i]!;
      const encoded = Array.isArray(item) && !this.#dialect.nestedArrays ? this.#escaped(item) : this.value(item);
      if (copy !== undefined) copy.push(encoded);
      else if (encoded !== item) copy = [...array.slice(0, i), encoded];
    }
    return copy ?? array;
  }

  #fields(object: P2PObject): unknown {
    const names = Object.keys(object);
    for (const name of names) if (this.#dialect.unfitName.test(name)) return this.#escaped(object);
    let copy: Record<string, unknown> | undefined;
    for (const name of names) {
      const value = object[name];
      if (value === undefined) continue;
      this.#bytes += name.length * 3;
      const encoded = this.value(value);
      if (encoded === value) continue;
      copy ??= { ...object };
      setField(copy, name, encoded);
    }
    return copy ?? object;
  }

  /** Stands for what has no form of its own. */
  #escaped(value: P2PValue): unknown {
    return { [SIDECAR]: this.#text(value) };
  }

  #text(value: P2PValue): string {
    const text = encodeJson(value);
    this.#bytes += text.length * 3 + 32;
    return text;
  }
}

/** BSON types that the server takes as values but not as an `_id`. */
const NEVER_ID: ReadonlySet<string> = new Set(["mongodb:regex", "mongodb:dbRef"]);
