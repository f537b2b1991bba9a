import { kindOrder, type P2PObject, type P2PValue, type TaggedValue, valueType } from "@omni/p2p-core/starter";

/**
 * Bytes that sort as the values do in the one order of values (`compareValues`), so that SQLite sorts by it: the place
 * of the kind, then what tells values of the kind apart.
 */
export function sortKey(value: P2PValue | undefined): Uint8Array {
  const parts: Uint8Array[] = [];
  addValue(parts, value);
  return Buffer.concat(parts);
}

const END = Uint8Array.of(0);
const ITEM = Uint8Array.of(1);

function addValue(parts: Uint8Array[], value: P2PValue | undefined): void {
  parts.push(Uint8Array.of(kindOrder(value)));
  if (value === undefined || value === null) return;
  const kind = valueType(value);
  switch (kind) {
    case "number":
    case "bigint":
      addNumber(parts, value as number | bigint);
      break;
    case "string":
      addBytes(parts, Buffer.from(value as string));
      break;
    case "bytes":
      addBytes(parts, value as Uint8Array);
      break;
    case "boolean":
      parts.push(Uint8Array.of(Number(value)));
      break;
    case "date":
      addNumber(parts, (value as Date).getTime());
      break;
    case "array":
      for (const item of value as readonly P2PValue[]) {
        parts.push(ITEM);
        addValue(parts, item);
      }
      parts.push(END);
      break;
    case "object":
      addFields(parts, value as P2PObject);
      break;
    case "tagged":
      addBytes(parts, Buffer.from((value as TaggedValue).type));
      addValue(parts, (value as TaggedValue).value);
      break;
    case "null":
      break;
    default: {
      kind satisfies never;
    }
  }
}

function addFields(parts: Uint8Array[], object: P2PObject): void {
  const fields = Object.keys(object)
    .filter((name) => object[name] !== undefined)
    .map((name) => ({ name: Buffer.from(name), value: object[name] }))
    .sort((a, b) => Buffer.compare(a.name, b.name));
  for (const { name, value } of fields) {
    parts.push(ITEM);
    addBytes(parts, name);
    addValue(parts, value);
  }
  parts.push(END);
}

/** Bytes and an end that sorts before all that may follow: a NUL among them is told from it by what is behind it. */
function addBytes(parts: Uint8Array[], bytes: Uint8Array): void {
  let from = 0;
  for (let at = bytes.indexOf(0); at >= 0; at = bytes.indexOf(0, from)) {
    parts.push(bytes.subarray(from, at + 1), Uint8Array.of(0xff));
    from = at + 1;
  }
  parts.push(bytes.subarray(from), Uint8Array.of(0, 0));
}

/** Where numbers stand whose size a double does not say. */
const NUMBER = { nan: 0, minusInfinity: 1, tooSmall: 2, double: 3, tooLarge: 4, infinity: 5 };

/** The nearest double, and what a bigint is more or less than that: numbers and bigints go by their exact size. */
function addNumber(parts: Uint8Array[], number: number | bigint): void {
  const near = Number(number);
  if (Number.isNaN(near)) parts.push(Uint8Array.of(NUMBER.nan));
  else if (!Number.isFinite(near)) {
    if (typeof number === "number") parts.push(Uint8Array.of(near > 0 ? NUMBER.infinity : NUMBER.minusInfinity));
    else parts.push(Uint8Array.of(near > 0 ? NUMBER.tooLarge : NUMBER.tooSmall), integerBytes(number));
  } else {
    const bytes = Buffer.alloc(9);
    bytes[0] = NUMBER.double;
    bytes.writeDoubleBE(near === 0 ? 0 : near, 1);
    // Doubles sort as their bits do, but for the sign.
    if (near < 0) for (let at = 1; at < 9; at++) bytes[at] = 255 - bytes[at]!;
    else bytes[1] = bytes[1]! + 128;
    parts.push(bytes, integerBytes(typeof number === "bigint" ? number - BigInt(near) : 0n));
  }
}

/** An integer of any size: its sign, how many bytes it has, and these. */
function integerBytes(integer: bigint): Uint8Array {
  if (integer === 0n) return Uint8Array.of(1);
  const hex = (integer < 0n ? -integer : integer).toString(16);
  const magnitude = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  const bytes = Buffer.alloc(5 + magnitude.length);
  bytes[0] = integer < 0n ? 0 : 2;
  bytes.writeUInt32BE(magnitude.length, 1);
  bytes.set(magnitude, 5);
  if (integer < 0n) for (let at = 1; at < bytes.length; at++) bytes[at] = 255 - bytes[at]!;
  return bytes;
}
