import {
  encodeJson,
  idKey,
  type P2PId,
  type P2PObject,
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
