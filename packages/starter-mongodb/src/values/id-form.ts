import { idKey, type P2PId, TaggedValue, valueType } from "@omni/p2p-core/starter";

/**
 * The text that two ids share when MongoDB has them for one: types are apart there, `1` and `"1"` are two documents, and numbers of
 * one size are one whatever their type.
 */
export function idForm(id: P2PId): string {
  const type = valueType(id);
  const kind = type === "bigint" ? "number" : id instanceof TaggedValue ? id.type : type;
  return `${kind} ${idKey(id)}`;
}
