/** Keys: which fields of a file's records are their id, and how an id goes back into fields. */
import {
  encodeJson,
  getField,
  P2PError,
  type P2PId,
  type P2PObject,
  type P2PRecord,
  type P2PValue,
  setField,
} from "@omni/p2p-core/starter";

/** How the records of a file are named. */
export type Key =
  /** By one field, or the JSON text of several. */
  | { readonly fields: readonly string[] }
  /** By the line on which they begin. */
  | "line";

const ID: Key = { fields: ["id"] };

/** What an option says: names with commas between. */
export function givenKey(option: string | undefined): Key | undefined {
  return option === undefined ? undefined : { fields: option.split(",").map((name) => name.trim()) };
}

/** The key of a file about which nothing was said, by its first record. */
export function keyByFields(fields: P2PObject): Key {
  if (getField(fields, "id") != null) return ID;
  return getField(fields, "_id") != null ? { fields: ["_id"] } : "line";
}

/**
 * The record of some fields, which it may take over.
 *
 * @param place what names the record where the key is its line.
 * @throws P2PError `INVALID_RECORD` for one without the key.
 */
export function recordOf(fields: P2PObject, key: Key, place: () => P2PId): P2PRecord {
  if (key === "line") return withId(fields, place(), undefined);
  const [name] = key.fields;
  if (key.fields.length === 1) {
    const id = getField(fields, name!);
    if (id === undefined || id === null || id === "") {
      throw new P2PError(
        "INVALID_RECORD",
        `the field "${name}", which names it, ${id === "" ? "is empty" : id === null ? "is null" : "is missing"}; say by ?key= which field does`,
      );
    }
    if (name === "id") return fields as P2PRecord;
    return withId(fields, id as P2PId, name === "_id" ? "_id" : undefined);
  }
  const values = key.fields.map((field) => getField(fields, field) ?? null);
  if (values.includes(null))
    throw new P2PError(
      "INVALID_RECORD",
      `one of the fields ${key.fields.join(", ")}, which name it together, is missing`,
    );
  return withId(fields, encodeJson(values), undefined);
}

/** A field `id` that does not name the record is carried as `_id`, or with one more underscore. */
function withId(fields: P2PObject, id: P2PId, without: string | undefined): P2PRecord {
  const record: Record<string, P2PValue> = { id };
  for (const field of Object.keys(fields)) {
    if (field === without) continue;
    setField(record, field === "id" ? freeName(fields) : field, fields[field]!);
  }
  return record as P2PRecord;
}

function freeName(fields: P2PObject): string {
  let name = "_id";
  while (Object.hasOwn(fields, name)) name = `_${name}`;
  return name;
}

/**
 * The fields as which a record is written: as it is, with its `id`; with a key of another name, under that name.
 *
 * @throws P2PError `INVALID_RECORD` for one that has another value there.
 */
export function fieldsOf(record: P2PRecord, key: Key | undefined): P2PObject {
  if (key === undefined || key === "line" || (key.fields.length === 1 && key.fields[0] === "id")) return record;
  const { id, ...rest } = record;
  const [name] = key.fields;
  if (key.fields.length > 1) {
    const missing = key.fields.find((field) => getField(record, field) == null);
    if (missing !== undefined) throw new P2PError("INVALID_RECORD", `it lacks the field "${missing}" of the key`);
    return rest;
  }
  const there = getField(record, name!);
  if (there !== undefined && encodeJson(there) !== encodeJson(id as P2PValue)) {
    throw new P2PError("INVALID_RECORD", `its field "${name}" is not its id, under which name the file keeps that`);
  }
  if (there !== undefined) return rest;
  const fields: Record<string, P2PValue> = {};
  setField(fields, name!, id as P2PValue);
  for (const field of Object.keys(rest)) setField(fields, field, rest[field]!);
  return fields;
}
