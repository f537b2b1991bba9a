import {
  encodeJson,
  idKey,
  type P2PId,
  type P2PObject,
  type P2PRecord,
  type P2PValue,
  setField,
  TaggedValue,
  valueType,
} from "@omni/p2p-core/starter";

/**
 * The text that two ids share when MongoDB has them for one: types are apart there, `1` and `"1"` are two documents, and numbers of
 * one size are one whatever their type, within objects too.
 */
export function idForm(id: P2PId): string {
  const type = valueType(id);
  if (type === "object") return `object ${encodeJson(ofOneType(id))}`;
  const kind = type === "bigint" ? "number" : id instanceof TaggedValue ? id.type : type;
  return `${kind} ${idKey(id)}`;
}

/**
 * The record as it is compared: MongoDB has numbers of one size for one id and keeps the form that was there first, so that `1n`
 * which is written over `1` stays `1` for ever.
 */
export function comparable(record: P2PRecord): P2PRecord {
  const { id } = record;
  if (typeof id === "bigint") return BigInt(Number(id)) === id ? { ...record, id: Number(id) } : record;
  if (Object.is(id, -0)) return { ...record, id: 0 };
  if (typeof id !== "object" || valueType(id) !== "object") return record;
  return { ...record, id: ofOneType(id) as P2PId };
}

/** The same with all whole numbers of one type. */
function ofOneType(value: P2PValue): P2PValue {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(ofOneType);
  if (valueType(value) !== "object") return value;
  const object: Record<string, P2PValue> = {};
  for (const [name, inner] of Object.entries(value as P2PObject)) {
    if (inner !== undefined) setField(object, name, ofOneType(inner));
  }
  return object;
}
