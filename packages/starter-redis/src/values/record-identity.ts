import {
  getField,
  idKey,
  type P2PId,
  type P2PObject,
  type P2PRecord,
  type P2PValue,
  setField,
} from "@omni/p2p-core/starter";
import type { Key } from "../client/keys.ts";

/** Where an `id` goes that is not the key's: see {@link identify}. */
const OTHER_ID = "_id";

/**
 * Makes a record of fields that were found under a key. The key is the identity: an `id` among the fields counts when
 * its text is the key, since it then tells the type of the id. Any other `id` moves to `_id`, and where that is taken
 * too, all fields move into `value`.
 */
export function identify(fields: Record<string, P2PValue>, suffix: Key): P2PRecord {
  const id = getField(fields, "id");
  if (id === suffix) return fields as unknown as P2PRecord;
  const own = typeof suffix === "string" ? suffix : new Uint8Array(suffix);
  if (id === undefined) {
    fields.id = own;
    return fields as unknown as P2PRecord;
  }
  if (typeof suffix === "string" && isIdOf(id, suffix)) return fields as unknown as P2PRecord;
  if (Object.hasOwn(fields, OTHER_ID)) return { id: own, type: "json", value: fields };
  const record: Record<string, P2PValue> = { id: own, [OTHER_ID]: id };
  for (const field of Object.keys(fields)) if (field !== "id") setField(record, field, fields[field]);
  return record as unknown as P2PRecord;
}

function isIdOf(id: P2PValue, text: string): boolean {
  return id !== null && !Array.isArray(id) && idKey(id as P2PId) === text;
}

/** The record without one of its fields, which is carried in another way. */
export function withoutField(record: P2PRecord, name: string): P2PObject {
  const rest: Record<string, P2PValue> = {};
  for (const field of Object.keys(record)) {
    const value = record[field];
    if (field !== name && value !== undefined) setField(rest, field, value);
  }
  return rest;
}
