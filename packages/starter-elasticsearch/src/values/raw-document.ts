import { idKey, type JsonValue, P2PError, type P2PRecord, parseJson, recordTrouble } from "@omni/p2p-core/starter";
import { isWhollyOurs } from "../mapping/compatible-mapping.ts";
import type { FieldSchema, IndexSchema, IndexSchemas } from "../mapping/schema.ts";
import { SIDECAR } from "../types.ts";
import {
  DocumentDecoder,
  decodePage,
  type Hit,
  hasEscapedSurrogates,
  type PageDecoder,
  type ReadHit,
  type SearchAnswer,
  schemaOfHit,
} from "./decode.ts";
import { mayBeRounded } from "./precise-json.ts";

/** Names what is in a {@link RawDocument}. */
export const RAW_FORMAT = "elasticsearch:source";

/** A document as its index has it, or the record it stands for where that has to be written anew. */
export type RawDocument = SourceDocument | RecordDocument;

/** The source of a document that an index with the same fields can have as it is. */
interface SourceDocument {
  readonly key: string;
  readonly source: Readonly<Record<string, JsonValue>>;
  /** What the source's fields mean. */
  readonly schema: IndexSchema;
}

/** A record. */
interface RecordDocument {
  readonly record: P2PRecord;
  /** The one schema of the source, where it is not ours: an index that has to be made is made like it. */
  readonly origin?: IndexSchema;
}

/** The record of a document, which stays as it is. */
export function recordOf(document: RawDocument): P2PRecord {
  if ("record" in document) return document.record;
  const { key, source, schema } = document;
  // Decoding works in place, so it gets a copy. No number in it has lost a digit: that was looked at before.
  return new DocumentDecoder(schema, false).decode({
    _id: key,
    _index: "",
    sort: [],
    _source: structuredClone(source),
  });
}

/** The `_id` of a document in its target. */
export function keyOf(document: RawDocument): string {
  return "record" in document ? idKey(document.record.id) : document.key;
}

/**
 * The documents of an answer. What we wrote ourselves is taken as it is, if it says all by itself. Of anything else the
 * record is made, as it is read otherwise.
 */
export const rawPage: PageDecoder<RawDocument> = (answer, text, source) => {
  const { schemas, link } = source;
  const found = answer.hits?.hits ?? [];
  const ours = new Map([...new Set(schemas.values())].map((schema) => [schema, isWhollyOurs(schema)]));
  const usable = !hasEscapedSurrogates(text);
  const own = found.map((hit) => schemaOfHit(hit, schemas, link.label));
  const plain = found.map((hit, i) => usable && ours.get(own[i]!)! && isPlain(hit, own[i]!));
  // The sources are used as they were parsed, so others are made records of from another copy of the page.
  const records = plain.includes(false)
    ? decodePage(parseJson(text) as SearchAnswer, text, source).hits.map((hit) =>
        checked(hit, link.label, foreignOrigin(schemas)),
      )
    : undefined;
  const hits = found.map((hit, i) =>
    plain[i] ? { hit, item: { key: hit._id, source: hit._source!, schema: own[i]! }, error: undefined } : records![i]!,
  );
  return { hits, size: text.length, valid: true };
};

/** What documents of others bring of their index, where all are of one kind. */
export function foreignOrigin(schemas: IndexSchemas): Pick<RecordDocument, "origin"> {
  const [only, ...others] = new Set(schemas.values());
  return only === undefined || others.length > 0 || only.ours ? {} : { origin: only };
}

/** What nobody else looks at is looked at here. */
function checked(
  { hit, item, error }: ReadHit<P2PRecord>,
  label: string,
  origin: Pick<RecordDocument, "origin">,
): ReadHit<RawDocument> {
  const trouble = item && recordTrouble(item);
  if (trouble === undefined) return { hit, item: item && { record: item, ...origin }, error };
  const what = `The document ${JSON.stringify(hit._id)} of ${label} is no valid record: ${trouble}`;
  return { hit, item: undefined, error: new P2PError("INVALID_RECORD", what) };
}

/** Whether a document is as we would write it. */
function isPlain({ _id, _source }: Hit, { fields }: IndexSchema): boolean {
  if (_source === undefined || !isOwnId(_source.id, _id)) return false;
  const lists = listsOf(_source[SIDECAR]);
  if (lists === undefined) return false;
  for (const name of Object.keys(_source)) {
    if (name === SIDECAR) continue;
    const value = _source[name]!;
    const field = fields.get(name);
    if (value === null ? field === undefined : !isOf(value, field, lists.includes(name))) return false;
  }
  return true;
}

function isOwnId(id: JsonValue | undefined, key: string): boolean {
  return typeof id === "string" ? id === key : typeof id === "number" && idKey(id) === key;
}

const NO_LISTS: readonly string[] = [];

/** The fields that the sidecar names; `undefined` when it has values as well, or is none of ours. */
function listsOf(sidecar: JsonValue | undefined): readonly string[] | undefined {
  if (sidecar === undefined) return NO_LISTS;
  if (typeof sidecar !== "object" || sidecar === null || Array.isArray(sidecar)) return undefined;
  const { fields, ...rest } = sidecar as Readonly<Record<string, JsonValue>>;
  const named = Array.isArray(fields) && fields.every((name) => typeof name === "string");
  return named && Object.keys(rest).length === 0 ? (fields as readonly string[]) : undefined;
}

/** Whether a value that is not null is one that its field was made for. */
function isOf(value: JsonValue, field: FieldSchema | undefined, list: boolean): boolean {
  if (Array.isArray(value))
    return list && value.every((item) => item === null || isOf(item as JsonValue, field, false));
  switch (field?.kind) {
    case "string":
    case "bytes":
      return typeof value === "string";
    case "boolean":
      return typeof value === "boolean";
    case "number":
      return typeof value === "number" && isExact(value);
    case "bigint":
      return typeof value === "string" || (typeof value === "number" && Number.isSafeInteger(value) && isExact(value));
    case "date":
      return typeof value === "string" || (typeof value === "number" && Number.isSafeInteger(value));
    case "object":
      return typeof value === "object" && isExactTree(value, 0);
    case undefined:
      return false;
  }
}

/** Whether a number comes out of JSON as it went in. */
function isExact(value: number): boolean {
  return Number.isFinite(value) && !Object.is(value, -0);
}

/** Deeper values are looked at more closely. */
const DEEPEST = 20;

function isExactTree(value: JsonValue, depth: number): boolean {
  if (typeof value === "number") return isExact(value) && !mayBeRounded(value);
  if (typeof value !== "object" || value === null) return true;
  if (depth > DEEPEST) return false;
  const inner = Array.isArray(value) ? value : Object.values(value);
  return inner.every((item) => isExactTree(item as JsonValue, depth + 1));
}
