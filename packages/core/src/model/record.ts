/** Records and their ids: identity, and validation. */
import { P2PError } from "../errors.ts";
import { encodeJson } from "./json.ts";
import { findInvalidValue, getField, type P2PObject, type P2PValue, TaggedValue } from "./value-tree.ts";
import { type SingleObject, singleKindOf } from "./value-types.ts";

/** What names a record within its store: any value but `null` and arrays. */
export type P2PId = Exclude<P2PValue, null | readonly P2PValue[]>;

/** A record: a plain object with an `id`. */
export interface P2PRecord extends P2PObject {
  readonly id: P2PId;
}

/** A record whose fields may be set and deleted: what a transform is given. */
export interface MutableRecord {
  id: P2PId;
  [field: string]: P2PValue | undefined;
}

/** A thing with an id, such as a record by an interface of the application: whether its fields can be stored is looked at as it comes. */
export interface WithId {
  readonly id: P2PId;
}

/**
 * The canonical text of an id. Two ids with the same text name the same record on every store, so `1`, `1n` and
 * `"1"` are one identity. Stores with text keys (Redis, Elasticsearch) use it as the key; the id itself, with its
 * type, travels in the record.
 */
export function idKey(id: P2PId): string {
  switch (typeof id) {
    case "string":
      return id;
    case "number":
      return Object.is(id, -0) ? "0" : String(id);
    case "bigint":
    case "boolean":
      return String(id);
    default:
      if (id instanceof TaggedValue) return id.toString();
      return singleKindOf(id)?.idText(id as SingleObject) ?? encodeJson(id);
  }
}

const HEX_OF_BYTES = /^(?:[0-9a-f]{2})+$/;

/**
 * Whether a text that is an id shares its {@link idKey} with no id that is bytes. A source in which texts are keys can then
 * vouch for it by `distinct` of a `RecordBatch`, though other keys are bytes.
 */
export function isNoBytesKey(id: string): boolean {
  return !HEX_OF_BYTES.test(id);
}

/**
 * Says why a thing is not a record that can be stored, or `undefined` when it is one.
 *
 * @param record anything, for instance what a transform returned.
 */
export function recordTrouble(record: unknown): string | undefined {
  if (typeof record !== "object" || record === null || Array.isArray(record)) {
    return `a record must be a plain object with an id, not ${record === null ? "null" : Array.isArray(record) ? "an array" : typeof record}`;
  }
  const id = getField(record, "id");
  if (id === undefined || id === null) return "the record has no id";
  if (id === "") return "the record's id is empty";
  if (Array.isArray(id)) return "the record's id is an array; use a string, a number or another single value";
  if (typeof id === "number" && !Number.isFinite(id)) return `the record's id is ${id}`;
  if (typeof id === "object" && singleKindOf(id)?.isEmpty(id as SingleObject)) return "the record's id is empty";
  if (id instanceof TaggedValue && id.value === "") return "the record's id is empty";
  return findInvalidValue(record, "record");
}

/** Throws the `INVALID_RECORD` error of {@link recordTrouble}, if there is any. */
export function assertRecord(record: unknown): asserts record is P2PRecord {
  const trouble = recordTrouble(record);
  if (trouble !== undefined) throw new P2PError("INVALID_RECORD", `Invalid record: ${trouble}`);
}
