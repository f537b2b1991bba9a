import { type P2PObject, type P2PValue, type TaggedValue, valuesEqual } from "@omni/p2p-core/starter";
import type * as Mongodb from "mongodb";

type Encode = (inner: P2PValue) => unknown;

/**
 * Makes BSON values of the tags of MongoDB's own types. A payload that would not come back exactly as it is (an
 * ObjectId in capitals, a decimal written another way) gives `undefined`, so that the tag is kept as a tag.
 *
 * @param native the types that the server can keep
 */
export function tagEncoder(
  native: ReadonlySet<string>,
  bson: typeof Mongodb,
): (tag: TaggedValue, encode: Encode) => unknown {
  const encoders = encodersOf(bson);
  return ({ type, value }, encode) => {
    if (!native.has(type)) return undefined;
    try {
      return encoders[type]?.(value, encode);
    } catch {
      // The driver's classes throw on a payload that is not of their type.
      return undefined;
    }
  };
}

function encodersOf(bson: typeof Mongodb): Readonly<Record<string, (value: P2PValue, encode: Encode) => unknown>> {
  const { Binary, BSONRegExp, BSONSymbol, Code, Decimal128, MaxKey, MinKey, ObjectId, Timestamp, UUID } = bson;
  return {
    "mongodb:objectId": (value) =>
      typeof value === "string" && /^[0-9a-f]{24}$/.test(value) ? ObjectId.createFromHexString(value) : undefined,
    "mongodb:uuid": (value) =>
      typeof value === "string" && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value)
        ? new Binary(Buffer.from(value.replaceAll("-", ""), "hex"), UUID.SUBTYPE_UUID)
        : undefined,
    "mongodb:binary": (value) => {
      const { subtype, base64 } = fieldsOf(value, "subtype", "base64");
      if (typeof subtype !== "number" || !Number.isInteger(subtype) || subtype < 1 || subtype > 255) return undefined;
      const bytes = Buffer.from(base64 as string, "base64");
      if (bytes.toString("base64") !== base64 || (subtype === 4 && bytes.length === 16)) return undefined;
      return new Binary(bytes, subtype);
    },
    "mongodb:regex": (value) => {
      const { pattern, options } = fieldsOf(value, "pattern", "options");
      const regex = new BSONRegExp(pattern as string, options as string);
      return regex.pattern === pattern && regex.options === options ? regex : undefined;
    },
    "mongodb:timestamp": (value) => {
      const { t, i } = fieldsOf(value, "t", "i");
      // The server puts the time in place of a timestamp that is all zeros.
      return isUint32(t) && isUint32(i) && (t !== 0 || i !== 0) ? new Timestamp({ t, i }) : undefined;
    },
    "mongodb:decimal128": (value) => {
      const decimal = Decimal128.fromString(value as string);
      return decimal.toString() === value ? decimal : undefined;
    },
    "mongodb:minKey": (value) => (value === null ? new MinKey() : undefined),
    "mongodb:maxKey": (value) => (value === null ? new MaxKey() : undefined),
    "mongodb:symbol": (value) => (typeof value === "string" ? new BSONSymbol(value) : undefined),
    "mongodb:code": (value) => (typeof value === "string" ? new Code(value) : undefined),
    "mongodb:codeWithScope": (value, encode) => {
      const { code, scope } = fieldsOf(value, "code", "scope");
      const encoded = encode(scope!);
      // Only a plain document can be a scope.
      return typeof code === "string" && isPlain(scope) && isPlain(encoded) ? new Code(code, encoded) : undefined;
    },
    "mongodb:dbRef": (value, encode) => reference(value, encode),
  };
}

/** The fields of a payload that has these and no others. */
function fieldsOf(value: P2PValue, ...names: string[]): Record<string, P2PValue | undefined> {
  const fields = value as P2PObject;
  const wanted = Object.fromEntries(names.map((name) => [name, fields[name]]));
  if (!valuesEqual(fields, wanted as P2PObject)) throw new TypeError("not the payload of this type");
  return wanted;
}

function isUint32(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32 && !Object.is(value, -0);
}

function isPlain(value: unknown): value is P2PObject & Mongodb.Document {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** A DBRef is a document whose first fields are `$ref`, `$id` and perhaps `$db`; only there may names start with `$`. */
function reference(value: P2PValue, encode: Encode): unknown {
  const { $ref, $id, $db, ...others } = value as P2PObject;
  if (typeof $ref !== "string" || $id === undefined || ($db !== undefined && typeof $db !== "string")) return undefined;
  const fields = encode(others);
  // Names that cannot be written make the whole one a tag, of which nothing could be told from its parts.
  if (!isPlain(fields) || Object.keys(fields).length !== Object.keys(others).length || "_p2p" in fields)
    return undefined;
  return { $ref, $id: encode($id), ...($db === undefined ? {} : { $db }), ...fields };
}
