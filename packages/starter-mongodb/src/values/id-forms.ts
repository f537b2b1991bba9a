import { dateOfText, idKey, type P2PId, TaggedValue } from "@omni/p2p-core/starter";
import type { Document } from "mongodb";
import type { Dialect } from "../client/dialect.ts";
import type { RecordEncoder } from "./encode.ts";

/** The BSON types of ids that cannot be guessed from their canonical text. */
const ODD_ID_TYPES = [3, 13, 15, 17, -1, 127];

/**
 * A filter that matches at least the ids with the canonical text of one of these: the text itself, and the values of
 * other types that are written so.
 */
export function idForms(ids: readonly P2PId[], encoder: RecordEncoder, dialect: Dialect): Document {
  const texts = ids.map((id) => idKey(id));
  const forms = texts.flatMap((text) => valuesWritten(text, dialect).map((value) => encoder.id(value)));
  const known = dialect.typeOrder.flat();
  const odd = ODD_ID_TYPES.filter((code) => known.includes(code));
  if (texts.some((text) => text.startsWith("{"))) odd.push(5);
  return ids.length === 0 ? { _id: { $in: [] } } : { $or: [{ _id: { $in: forms } }, { _id: { $type: odd } }] };
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
