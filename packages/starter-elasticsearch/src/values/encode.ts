import {
  getField,
  hasPlainYear,
  idKey,
  isoText,
  type P2PId,
  type P2PObject,
  type P2PRecord,
  type P2PValue,
  setField,
  valueType,
} from "@omni/p2p-core/starter";
import { fieldAt, isStorableName } from "../mapping/names.ts";
import type { FieldSchema, IndexSchema } from "../mapping/schema.ts";
import { type FieldKind, SIDECAR } from "../types.ts";
import { type EncodedValue, encodeAside, encodeForeign, encodeOwn, type Overlay } from "./encode-value.ts";
import { mayBeRounded } from "./precise-json.ts";

/** Makes documents of records, for an index with a certain mapping. */
export interface DocumentEncoder {
  /**
   * The source of a record that fits the mapping as it is; `undefined` for any other, which may have fields that the
   * mapping lacks.
   */
  encodePlain(record: P2PRecord): string | undefined;
  /** The source of the record's document, as JSON, and whether it has a sidecar. */
  encode(record: P2PRecord, key: string): EncodedDocument;
  /** Whether the index puts documents together from what is indexed of them, so that not everything comes back. */
  readonly synthetic: boolean;
}

/** A document. */
interface EncodedDocument {
  readonly source: string;
  readonly sidecar: boolean;
}

/** Says of a value that `JSON.stringify` writes it as it must stand in the source, with nothing to add. */
type PlainTest = (value: P2PValue) => boolean;

const PLAIN_TESTS: Readonly<Record<FieldKind, PlainTest>> = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number" && Number.isFinite(value) && !Object.is(value, -0),
  bigint: () => false,
  boolean: (value) => typeof value === "boolean",
  date: (value) => value instanceof Date && hasPlainYear(value.getTime()),
  bytes: () => false,
  object: (value) => isPlainTree(value, 0),
};

const NEVER: PlainTest = () => false;

/** The encoder for an index. Make another when the mapping has changed. */
export function documentEncoder(schema: IndexSchema): DocumentEncoder {
  const tests = new Map<string, PlainTest>();
  for (const [name, { kind }] of schema.fields) {
    if (kind !== undefined && name !== "id") tests.set(name, PLAIN_TESTS[kind]);
  }
  const id = schema.fields.get("id");
  // Ids that are text are their own keys; of other kinds only numbers are written as they are.
  if (id?.kind === "number" || id?.idType === "string") tests.set("id", PLAIN_TESTS[id.kind!]);
  return {
    synthetic: schema.synthetic,
    encodePlain: (record) => (!schema.synthetic && isPlain(record, tests) ? JSON.stringify(record) : undefined),
    encode: (record, key) => encodeDocument(record, key, schema),
  };
}

function isPlain(record: P2PRecord, tests: ReadonlyMap<string, PlainTest>): boolean {
  for (const name of Object.keys(record)) {
    const value = record[name];
    if (value === undefined) continue;
    const test = tests.get(name) ?? NEVER;
    if (!(value === null ? test !== NEVER : test(value))) return false;
  }
  return true;
}

function isPlainTree(value: P2PValue, depth: number): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
      // Only an object itself fits a field for objects.
      return depth > 0;
    case "number":
      return depth > 0 && Number.isFinite(value) && !Object.is(value, -0) && !mayBeRounded(value);
    case "object":
      break;
    default:
      return false;
  }
  if (value === null) return true;
  if (Array.isArray(value)) return depth > 0 && value.every((item) => isPlainTree(item as P2PValue, depth + 1));
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (depth > 50 || (prototype !== null && prototype !== Object.prototype)) return false;
  for (const key of Object.keys(value)) {
    const inner = (value as P2PObject)[key];
    if (key.length > 100 || key.includes("\0") || (inner !== undefined && !isPlainTree(inner, depth + 1))) return false;
  }
  return true;
}

function encodeDocument(record: P2PRecord, key: string, schema: IndexSchema): EncodedDocument {
  const native: Record<string, unknown> = {};
  const fields: string[] = [];
  let values: Record<string, Overlay> | undefined;
  let texts: Record<string, string | string[]> | undefined;
  const put = (name: string, encoded: EncodedValue): void => {
    if (encoded.native !== undefined) setField(native, name, encoded.native);
    if (encoded.odd) fields.push(name);
    if (encoded.overlay === undefined) return;
    values ??= {};
    setField(values, name, encoded.overlay);
  };
  const stowed = stowedId(record, key, schema);
  if (stowed === undefined) put("id", encodeId(record.id, key, schema.fields.get("id")));
  else put("id", encodeForeign(stowed, schema.fields.get("id")));
  for (const name of Object.keys(record)) {
    const value = record[name];
    if (value === undefined || name === "id" || (stowed !== undefined && name === "_id")) continue;
    const encoded = encodeField(name, value, schema);
    put(name, encoded);
    const text = schema.sidecarTexts && encoded.native === undefined ? hiddenText(name, value) : undefined;
    if (text === undefined) continue;
    texts ??= {};
    setField(texts, name, text);
  }
  const sidecar = fields.length > 0 || values !== undefined;
  if (sidecar) {
    native[SIDECAR] = {
      ...(fields.length > 0 ? { fields } : {}),
      ...(values ? { values } : {}),
      ...(texts ? { texts } : {}),
    };
  }
  return { source: JSON.stringify(native), sidecar };
}

/** The text by which a value that its own field cannot hold is found; a list is found by each of its items. */
function hiddenText(name: string, value: P2PValue): string | string[] | undefined {
  if (!isStorableName(name) || name.includes("\0")) return undefined;
  if (!Array.isArray(value)) return scalarText(value);
  const texts = value.map((item) => scalarText(item as P2PValue)).filter((text) => text !== undefined);
  return texts.length === 0 ? undefined : texts;
}

function scalarText(value: P2PValue): string | undefined {
  switch (typeof value) {
    case "string":
      return value;
    case "object":
      return value instanceof Date ? isoText(value) : undefined;
    default:
      return String(value);
  }
}

function encodeField(name: string, value: P2PValue, schema: IndexSchema): EncodedValue {
  const field = fieldAt(schema.fields, name);
  if (!isStorableName(name) && (field === undefined || schema.ours)) return encodeAside(value);
  if (field?.kind !== undefined) return encodeOwn(value, field.kind);
  const encoded = encodeForeign(value, field);
  // A field that found no place in the mapping is in the source alone, so no query of the server can see it.
  return schema.ours && field === undefined ? { ...encoded, odd: value !== null } : encoded;
}

/** The id beside the document's own: it is what people and queries can see and sort by. */
function encodeId(id: P2PId, key: string, field: FieldSchema | undefined): EncodedValue {
  const typed: Overlay | undefined = typeof id === "string" ? undefined : encodeAside(id).overlay;
  if (field?.kind === "string") {
    return { native: key, overlay: typed, odd: valueType(id) !== (field.idType ?? "string") };
  }
  if (field?.kind !== undefined) return encodeOwn(id, field.kind);
  if (field !== undefined && typeof id === "string" && field.keyword !== undefined) {
    return { native: id, overlay: undefined, odd: false };
  }
  if (field !== undefined && Number.isSafeInteger(id) && ["long", "integer", "double"].includes(field.type)) {
    return encodeForeign(id, field);
  }
  return { native: undefined, overlay: typed, odd: false };
}

/**
 * In a document of others, `id` may be something else than the document's id. Such a record has it as `_id`, and here
 * it goes back to its place.
 */
function stowedId(record: P2PRecord, key: string, schema: IndexSchema): P2PValue | undefined {
  if (schema.ours) return undefined;
  const stowed = getField(record, "_id");
  if (stowed === undefined || stowed === null || Array.isArray(stowed)) return undefined;
  return idKey(stowed as P2PId) === key || typeof record.id !== "string" ? undefined : stowed;
}
