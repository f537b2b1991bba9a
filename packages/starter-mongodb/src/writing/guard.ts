import type { BSON, Document } from "mongodb";

type Bson = typeof BSON;

/** Room for the guard around a document, within what a server takes as one. */
const GUARD_BYTES = 1024;
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * A filter that matches a document only while it is just as it is now, down to the order of its fields. A number that has become
 * another type of the same size and value is the same to the server, and so is text that a collection's collation takes for
 * equal.
 *
 * @returns `undefined` where a value has no way into the driver, or the document is as large as documents get
 */
export function wholeGuard(document: Uint8Array, _id: unknown, bson: Bson): Document | undefined {
  if (document.length + GUARD_BYTES > MOST_BYTES) return undefined;
  const values = valuesOf(document, bson);
  if (values === undefined) return undefined;
  return {
    _id,
    $expr: {
      $and: [{ $eq: [{ $bsonSize: "$$ROOT" }, document.length] }, { $eq: ["$$ROOT", { $literal: values }] }],
    },
  };
}

/**
 * The same for FerretDB 1.x, which has no `$expr`: a field that was added meanwhile is not noticed. Nor does it delete what it
 * compared in one step, so more would not help.
 */
export function fieldGuard(document: Uint8Array, _id: unknown, bson: Bson): Document | undefined {
  const values = valuesOf(document, bson);
  if (values === undefined) return undefined;
  const guard: Document = { _id };
  for (const [name, value] of values) if (name !== "_id") guard[name] = { $eq: value };
  return guard;
}

/** The fields of a document as the driver writes them back byte by byte; `undefined` where it would not. */
function valuesOf(document: Uint8Array, bson: Bson): ReadonlyMap<string, unknown> | undefined {
  try {
    const values = fieldsOf(Buffer.from(document.buffer, document.byteOffset, document.byteLength), bson);
    return Buffer.compare(bson.serialize(values as unknown as Document), document) === 0 ? values : undefined;
  } catch {
    return undefined;
  }
}

/** BSON types whose values hold others. */
const OBJECT = 0x03;
const ARRAY = 0x04;

/**
 * The fields of a document in their order, which a plain object would not keep for names that are whole numbers. Single values are
 * left to the driver.
 */
function fieldsOf(document: Buffer, bson: Bson): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (let at = 4; document[at] !== 0; ) {
    const type = document[at]!;
    const from = document.indexOf(0, at) + 1;
    const end = from + lengthOf(type, document, from);
    fields.set(document.toString("utf8", at + 1, from - 1), driverValue(type, document.subarray(from, end), bson));
    at = end;
  }
  return fields;
}

function driverValue(type: number, bytes: Buffer, bson: Bson): unknown {
  if (type === OBJECT) return fieldsOf(bytes, bson);
  if (type === ARRAY) return [...fieldsOf(bytes, bson).values()];
  const single = Buffer.alloc(bytes.length + 8);
  single.writeInt32LE(single.length, 0);
  single[4] = type;
  single.write("v", 5, "latin1");
  bytes.copy(single, 7);
  return bson.deserialize(single, { promoteValues: false, bsonRegExp: true }).v;
}

/** How many bytes a value takes. Source: bsonspec.org, version 1.1. */
function lengthOf(type: number, bytes: Buffer, from: number): number {
  switch (type) {
    case 0x01:
    case 0x09:
    case 0x11:
    case 0x12:
      return 8;
    case 0x02:
    case 0x0d:
    case 0x0e:
      return 4 + bytes.readInt32LE(from);
    case OBJECT:
    case ARRAY:
    case 0x0f:
      return bytes.readInt32LE(from);
    case 0x05:
      return 5 + bytes.readInt32LE(from);
    case 0x07:
      return 12;
    case 0x08:
      return 1;
    case 0x0a:
    case 0x7f:
    case 0xff:
      return 0;
    case 0x0b:
      return bytes.indexOf(0, bytes.indexOf(0, from) + 1) + 1 - from;
    case 0x10:
      return 4;
    case 0x13:
      return 16;
    default:
      throw new RangeError(`a value of the type ${type}`);
  }
}
