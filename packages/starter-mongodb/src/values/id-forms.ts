import { dateOfText, decodeJson, idKey, type P2PId, type P2PValue, TaggedValue } from "@omni/p2p-core/starter";
import type { Document } from "mongodb";
import type { Dialect } from "../client/dialect.ts";
import type { RecordEncoder } from "./encode.ts";

/** The BSON types of ids that cannot be guessed from their canonical text. */
const ODD_ID_TYPES = [3, 12, 13, 15, 17, -1, 127];
const BINARY = 5;

/** Farthest a JavaScript date reaches from 1970, in ms: a date beyond has no way into the driver. */
const MAX_TIME = 8.64e15;

/**
 * A filter that matches at least the ids with the canonical text of one of these: the text itself, and the values of
 * other types that are written so.
 */
export function idForms(ids: readonly P2PId[], encoder: RecordEncoder, dialect: Dialect): Document {
  const texts = ids.map((id) => idKey(id));
  const forms = texts.flatMap((text) => valuesWritten(text, dialect).map((value) => encoder.id(value)));
  return ids.length === 0
    ? { _id: { $in: [] } }
    : { $or: [{ _id: { $in: forms } }, { _id: { $type: oddTypes(texts, dialect) } }] };
}

/** An id as the server has it, and the others with the same canonical text, as far as they can be told from it. */
export function formsOf(id: P2PId, encoder: RecordEncoder, dialect: Dialect): unknown[] {
  const text = idKey(id);
  const written = [...valuesWritten(text, dialect), ...rareValuesWritten(text, dialect)];
  return [encoder.id(id), ...written.filter((value) => value !== id).map((value) => encoder.id(value))];
}

/** A filter that matches every id of which {@link formsOf} may not know the form, and others. */
export function oddIds(ids: readonly P2PId[], dialect: Dialect): Document {
  const types = {
    _id: {
      $type: oddTypes(
        ids.map((id) => idKey(id)),
        dialect,
      ),
    },
  };
  if (!dialect.complete) return types;
  return { $or: [types, { _id: { $gt: new Date(MAX_TIME) } }, { _id: { $lt: new Date(-MAX_TIME) } }] };
}

function oddTypes(texts: readonly string[], dialect: Dialect): number[] {
  const known = dialect.typeOrder.flat();
  const odd = ODD_ID_TYPES.filter((code) => known.includes(code));
  return texts.some((text) => text.startsWith("{")) ? [...odd, BINARY] : odd;
}

function valuesWritten(text: string, dialect: Dialect): P2PId[] {
  const values: P2PId[] = [text];
  const number = Number(text);
  if (text.trim() !== "" && Number.isFinite(number) && String(number) === text) values.push(number);
  if (/^(?:0|-?[1-9]\d*)$/.test(text)) values.push(BigInt(text));
  if (text === "true" || text === "false") values.push(text === "true");
  const time = /^[+-]?\d{4,6}-\d\d-\d\dT/.test(text) ? dateOfText(text) : undefined;
  if (time !== undefined) values.push(time);
  if (/^(?:[0-9a-f]{2})+$/.test(text)) values.push(new Uint8Array(Buffer.from(text, "hex")));
  for (const type of ["mongodb:objectId", "mongodb:uuid", "mongodb:decimal128"]) {
    if (dialect.nativeTags.has(type)) values.push(new TaggedValue(type, text));
  }
  return values;
}

/** Objects, and tags whose payload is written as JSON. */
function rareValuesWritten(text: string, { nativeTags }: Dialect): P2PId[] {
  const values: P2PId[] = [];
  const tagged = (type: string, payload: P2PValue) => {
    if (nativeTags.has(type)) values.push(new TaggedValue(type, payload));
  };
  tagged("mongodb:code", text);
  if (text === "null") for (const type of ["mongodb:minKey", "mongodb:maxKey"]) tagged(type, null);
  if (!text.startsWith("{")) return values;
  try {
    const value = decodeJson(text);
    if (value instanceof TaggedValue || typeof value !== "object" || value === null) return values;
    values.push(value as P2PId);
    for (const type of ["mongodb:timestamp", "mongodb:binary", "mongodb:codeWithScope"]) tagged(type, value);
  } catch {
    // No JSON: a text like any other.
  }
  return values;
}
