import {
  base64,
  fromBase64,
  fromJson,
  idKey,
  type JsonValue,
  messageOf,
  P2PError,
  type P2PId,
  type P2PRecord,
  type P2PValue,
  setField,
} from "@omni/p2p-core/starter";
import { readDateNumber, readDateText } from "../mapping/dates.ts";
import { fieldAt } from "../mapping/names.ts";
import type { FieldSchema, IndexSchema, IndexSchemas } from "../mapping/schema.ts";
import { SIDECAR } from "../types.ts";
import { isBrokenType, type Overlay } from "./encode-value.ts";
import { mayBeRounded, parsePrecisely } from "./precise-json.ts";

/** A value that documents are sorted by; a bigint where it was parsed precisely. */
export type SortValue = JsonValue | bigint;

/** A document as a search gives it. */
export interface Hit {
  readonly _id: string;
  readonly _index: string;
  /** What it was routed to its shard by, where that is not its id. */
  readonly _routing?: string;
  /** The number of its last change, where it is asked for, and the term of the primary shard that gave it. */
  readonly _seq_no?: number;
  readonly _primary_term?: number;
  readonly _source?: Readonly<Record<string, JsonValue>>;
  /** Its place in the order of the search. */
  readonly sort: readonly SortValue[];
}

/** The part of the answer to a search that matters here. */
export interface SearchAnswer {
  readonly pit_id?: string;
  readonly timed_out?: boolean;
  readonly _shards?: { readonly failed?: number };
  readonly hits?: { readonly hits?: readonly Hit[] };
}

/** A hit whose document was made out, or not. */
export interface ReadHit<Item> {
  readonly hit: Hit;
  readonly item: Item | undefined;
  readonly error: P2PError | undefined;
}

/** Documents in the order of the search. */
export interface DecodedPage<Item = P2PRecord> {
  readonly hits: readonly ReadHit<Item>[];
  /** Characters in the server's answer. */
  readonly size: number;
  /** Whether nothing in it can be anything but a valid value. */
  readonly valid: boolean;
}

/** Makes something of the answer to a search. */
export type PageDecoder<Item> = (
  answer: SearchAnswer,
  text: string,
  source: { readonly schemas: IndexSchemas; readonly link: { readonly label: string } },
) => DecodedPage<Item>;

/**
 * The schema of the index that a document is of.
 *
 * @throws P2PError `READ_FAILED`, when the index was not there when the reading began
 */
export function schemaOfHit({ _index }: Hit, schemas: IndexSchemas, label: string): IndexSchema {
  const schema = schemas.get(_index);
  if (schema !== undefined) return schema;
  const what = `The index "${_index}" came to ${label} while it was being read`;
  throw new P2PError("READ_FAILED", `${what}; read again, so that its mapping is known`, { retryable: true });
}

/** Thrown when a number has lost digits in `JSON.parse`. */
const IMPRECISE = new Error("a whole number beyond 2^53 has to be read again");

/**
 * The records of an answer. Documents become records as the mapping says what their fields hold, and as the sidecar
 * says, which has the last word.
 */
export const decodePage: PageDecoder<P2PRecord> = (answer, text, { schemas, link }) => {
  try {
    return decodeAll(answer, text, new HitDecoder(schemas, false, link.label));
  } catch (error) {
    if (error !== IMPRECISE) throw error;
  }
  // What was decoded so far was decoded in place, so it is all done again from the text.
  return decodeAll(parsePrecisely(text) as SearchAnswer, text, new HitDecoder(schemas, true, link.label));
};

function decodeAll({ hits }: SearchAnswer, text: string, decoder: HitDecoder): DecodedPage<P2PRecord> {
  const decoded = (hits?.hits ?? []).map((hit) => decoder.decode(hit));
  return { hits: decoded, size: text.length, valid: decoder.vouched && !hasEscapedSurrogates(text) };
}

/** Whether a text of JSON may hold a lone surrogate. Only an escape can make one: there is none in UTF-8. */
export function hasEscapedSurrogates(text: string): boolean {
  return text.includes("\\ud") || text.includes("\\uD");
}

/** The sort values of the last document of a page, with all their digits. */
export function lastSort(answer: SearchAnswer, text: string): readonly SortValue[] | undefined {
  const values = answer.hits?.hits?.at(-1)?.sort;
  const rounded = values?.some((value) => typeof value === "number" && mayBeRounded(value));
  return rounded ? (parsePrecisely(text) as SearchAnswer).hits?.hits?.at(-1)?.sort : values;
}

/** Makes records of the documents of several indices, each by the mapping of its own. */
class HitDecoder {
  readonly #schemas: IndexSchemas;
  readonly #precise: boolean;
  readonly #label: string;
  readonly #decoders = new Map<IndexSchema, DocumentDecoder>();

  constructor(schemas: IndexSchemas, precise: boolean, label: string) {
    this.#schemas = schemas;
    this.#precise = precise;
    this.#label = label;
  }

  /** Whether no value so far needs a second look. */
  get vouched(): boolean {
    for (const { vouched } of this.#decoders.values()) if (!vouched) return false;
    return true;
  }

  decode(hit: Hit): ReadHit<P2PRecord> {
    const decoder = this.#decoderOf(hit);
    try {
      return { hit, item: decoder.decode(hit), error: undefined };
    } catch (thrown) {
      if (thrown === IMPRECISE) throw thrown;
      const what = `The document ${JSON.stringify(hit._id)} of ${this.#label} could not be read`;
      const error = new P2PError("READ_FAILED", `${what}: ${messageOf(thrown)}`, { cause: thrown });
      return { hit, item: undefined, error };
    }
  }

  #decoderOf(hit: Hit): DocumentDecoder {
    const schema = schemaOfHit(hit, this.#schemas, this.#label);
    let decoder = this.#decoders.get(schema);
    if (decoder === undefined) {
      decoder = new DocumentDecoder(schema, this.#precise);
      this.#decoders.set(schema, decoder);
    }
    return decoder;
  }
}

interface Sidecar {
  readonly values?: Readonly<Record<string, Overlay>>;
}

/** What we wrote beside the fields; something else under the same name is a field like any other. */
function sidecarOf(value: JsonValue | undefined): Sidecar | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { fields, values, texts } = value as { fields?: JsonValue; values?: JsonValue; texts?: JsonValue };
  const known = Number(fields !== undefined) + Number(values !== undefined) + Number(texts !== undefined);
  if ((fields ?? values) === undefined || Object.keys(value).length !== known) return undefined;
  if (fields !== undefined && !Array.isArray(fields)) return undefined;
  if (values !== undefined && (typeof values !== "object" || values === null || Array.isArray(values)))
    return undefined;
  return value as Sidecar;
}

/** Levels of objects and lists that are no reason to look at how deep they go. */
const SURELY_SHALLOW = 20;

function isIdOf(value: P2PValue, key: string): boolean {
  return value !== null && !Array.isArray(value) && idKey(value as P2PId) === key;
}

/** The fields of which a text or a number is not what it seems; `undefined` where some have fields of their own. */
function specialFields({ fields }: IndexSchema): ReadonlyMap<string, FieldSchema> | undefined {
  const special = new Map<string, FieldSchema>();
  for (const [name, schema] of fields) {
    if (schema.properties !== undefined) return undefined;
    const { format, kind, type } = schema;
    if (name !== "id" && (format !== undefined || kind === "bigint" || type === "binary")) special.set(name, schema);
  }
  return special;
}

/** Makes a record of a document. Lists and objects of the source are changed in place: nobody else has them. */
export class DocumentDecoder {
  readonly #schema: IndexSchema;
  /** The fields whose texts and numbers mean something else, where all of the mapping is one level deep. */
  readonly #special: ReadonlyMap<string, FieldSchema> | undefined;
  /** Whether numbers were parsed with all their digits. */
  readonly #precise: boolean;
  #depth = 0;
  /** Whether no value of a document so far needs a second look: none is from a sidecar, and none is deep. */
  vouched = true;

  constructor(schema: IndexSchema, precise: boolean) {
    this.#schema = schema;
    this.#special = specialFields(schema);
    this.#precise = precise;
  }

  decode({ _id, _source, sort }: Hit): P2PRecord {
    if (!this.#precise && sort.some((value) => typeof value === "number" && mayBeRounded(value))) throw IMPRECISE;
    if (_source === undefined) throw new Error("it has no _source, which is where it would be read from");
    const source = _source as Record<string, P2PValue>;
    const sidecar = sidecarOf(_source[SIDECAR]);
    if (sidecar === undefined && Object.hasOwn(source, "id")) {
      const id = this.#value(source.id!, this.#schema.fields.get("id"));
      if (isIdOf(id, _id)) {
        source.id = id;
        this.#fields(source);
        return source as P2PRecord;
      }
    }
    return this.#assemble(_id, source, sidecar);
  }

  #fields(source: Record<string, P2PValue>): void {
    const special = this.#special;
    if (special === undefined) {
      this.#fieldByField(source);
      return;
    }
    // Most values are what they seem to be, and to ask the mapping about each would take longer than all the rest.
    for (const name in source) {
      const native = source[name];
      if (typeof native === "string" || typeof native === "boolean" || native === null) continue;
      if (typeof native === "number" && Math.abs(native) <= Number.MAX_SAFE_INTEGER) continue;
      if (name === "id" || special.has(name)) continue;
      const value = this.#value(native!, this.#schema.fields.get(name));
      if (value !== native) setField(source, name, value);
    }
    for (const [name, schema] of special) {
      if (!Object.hasOwn(source, name)) continue;
      const native = source[name]!;
      const value = this.#value(native, schema);
      if (value !== native) setField(source, name, value);
    }
  }

  #fieldByField(source: Record<string, P2PValue>): void {
    for (const name of Object.keys(source)) {
      if (name === "id") continue;
      const native = source[name]!;
      const value = this.#value(native, fieldAt(this.#schema.fields, name));
      if (value !== native) setField(source, name, value);
    }
  }

  #assemble(key: string, source: Record<string, P2PValue>, sidecar: Sidecar | undefined): P2PRecord {
    const values = sidecar?.values ?? {};
    if (sidecar?.values !== undefined) this.vouched = false;
    const record: Record<string, P2PValue> = { id: key };
    let stowed: P2PValue | undefined;
    for (const name of Object.keys(source)) {
      if (name === SIDECAR && sidecar !== undefined) continue;
      const overlay = Object.hasOwn(values, name) ? values[name] : undefined;
      const value = this.#laid(source[name]!, overlay, fieldAt(this.#schema.fields, name));
      if (name !== "id") setField(record, name, value);
      else if (isIdOf(value, key)) record.id = value;
      else stowed = value;
    }
    for (const name of Object.keys(values)) {
      // A field of the record that has the sidecar's own name is in the sidecar alone, as any that cannot have its name.
      if (Object.hasOwn(source, name) && name !== SIDECAR) continue;
      const value = this.#overlayAlone(values[name]!);
      if (name !== "id" || isIdOf(value, key)) setField(record, name, value);
    }
    if (stowed !== undefined) {
      let name = "_id";
      while (Object.hasOwn(record, name)) name = `_${name}`;
      record[name] = stowed;
    }
    return record as P2PRecord;
  }

  #overlayAlone(overlay: Overlay): P2PValue {
    return Array.isArray(overlay) ? this.#replaced(overlay[0] as JsonValue) : this.#laid({}, overlay, undefined);
  }

  /** A value that the sidecar has whole. Its bigints are tagged, so a plain number is one, however it was parsed. */
  #replaced(json: JsonValue): P2PValue {
    return fromJson(this.#precise ? withoutBigints(json) : json);
  }

  /** A value with what the sidecar lays over it. */
  #laid(native: P2PValue, overlay: Overlay | undefined, schema: FieldSchema | undefined): P2PValue {
    if (overlay === undefined) return this.#value(native, schema);
    if (Array.isArray(overlay)) return this.#replaced(overlay[0] as JsonValue);
    if (typeof native !== "object" || native === null) return this.#value(native, schema);
    const container = native as Record<string, P2PValue>;
    const parts = overlay as Readonly<Record<string, Overlay>>;
    const inList = Array.isArray(native);
    for (const key of Object.keys(container)) {
      const part = Object.hasOwn(parts, key) ? parts[key] : undefined;
      const child = inList ? schema : schema?.properties?.get(key);
      setField(container, key, this.#laid(container[key]!, part, child));
    }
    for (const key of Object.keys(parts)) {
      if (!inList && !Object.hasOwn(container, key)) setField(container, key, this.#overlayAlone(parts[key]!));
    }
    return native;
  }

  /** A value of the source, by what the mapping says of its field. */
  #value(native: P2PValue, schema: FieldSchema | undefined): P2PValue {
    switch (typeof native) {
      case "string":
        return schema === undefined ? native : decodeText(native, schema);
      case "number":
        return this.#number(native, schema);
      case "bigint":
        return schema !== undefined && isBrokenType(schema.type) ? Number(native) : native;
      case "object":
        if (native !== null) this.#inside(native as Record<string, P2PValue>, schema);
        return native;
      default:
        return native;
    }
  }

  #inside(container: Record<string, P2PValue>, schema: FieldSchema | undefined): void {
    if (++this.#depth > SURELY_SHALLOW) this.vouched = false;
    const inList = Array.isArray(container);
    for (const key of Object.keys(container)) {
      const inner = container[key]!;
      const value = this.#value(inner, inList ? schema : schema?.properties?.get(key));
      if (value !== inner) setField(container, key, value);
    }
    this.#depth--;
  }

  #number(value: number, schema: FieldSchema | undefined): P2PValue {
    if (schema?.format !== undefined) return readDateNumber(value, schema.format) ?? value;
    if (!this.#precise && mayBeRounded(value) && !(schema !== undefined && isBrokenType(schema.type))) throw IMPRECISE;
    return schema?.kind === "bigint" && Number.isSafeInteger(value) ? BigInt(value) : value;
  }
}

function withoutBigints(json: JsonValue | bigint): JsonValue {
  if (typeof json === "bigint") return Number(json);
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map(withoutBigints);
  const copy: Record<string, JsonValue> = {};
  for (const key of Object.keys(json)) setField(copy, key, withoutBigints((json as Record<string, JsonValue>)[key]!));
  return copy;
}

function decodeText(text: string, { format, type, kind }: FieldSchema): P2PValue {
  if (format !== undefined) return readDateText(text, format) ?? text;
  if (kind === "bigint") return /^-?\d+$/.test(text) ? BigInt(text) : text;
  if (type !== "binary") return text;
  const bytes = fromBase64(text);
  return base64(bytes) === text ? bytes : text;
}
