import { type FieldKind, ID_META, KEYWORD_LENGTH, KIND_META, SIDECAR } from "../types.ts";
import { type DateFormat, parseFormat } from "./dates.ts";
import type { HiddenFields } from "./hidden-fields.ts";
import type { IndexSettings } from "./index-settings.ts";

/** A field as the mapping of the index has it. */
export interface FieldSchema {
  /** Elasticsearch's type; `object` for what has properties, `mixed` where indices of one alias differ. */
  readonly type: string;
  /** What we made the field for; `undefined` where somebody else made it. */
  readonly kind: FieldKind | undefined;
  /** Of which kind the ids are, where this is the field with their text. */
  readonly idType: string | undefined;
  /** For dates. */
  readonly format: DateFormat | undefined;
  /** The name under which its texts can be found, compared and sorted whole. */
  readonly keyword: string | undefined;
  /** Texts longer than this are not under that name. */
  readonly keywordLength: number;
  /** Whether it can be searched and sorted at all. */
  readonly indexed: boolean;
  /**
   * Whether its numbers come back as the index has them: with 32 bits each, or also divided and multiplied again, which may
   * change the last of their digits.
   */
  readonly rounded: "no" | "to 32 bits" | "by arithmetic";
  /** Whether null is indexed as something else. */
  readonly nullValue: boolean;
  readonly properties: ReadonlyMap<string, FieldSchema> | undefined;
}

/** The mapping of an index, or of all that a name stands for. */
export interface IndexSchema {
  /** What becomes of fields that the mapping does not have. */
  readonly dynamic: "true" | "false" | "strict" | "runtime";
  /** Whether we made the index. */
  readonly ours: boolean;
  /** Whether the sidecar's names can be searched. */
  readonly sidecar: boolean;
  readonly fields: ReadonlyMap<string, FieldSchema>;
  /** How many fields count against the index's limit. */
  readonly size: number;
  /** Why documents cannot be read back, when the index keeps no source. */
  readonly sourceless: boolean;
  /** What is left out of the documents. */
  readonly hidden: HiddenFields;
  /** What another index of this kind is made of; absent where it is not known. */
  readonly origin: IndexOrigin | undefined;
  /** Whether the texts of hidden values can be searched in the sidecar. */
  readonly sidecarTexts: boolean;
  /** Whether documents are put together from what is indexed of them. */
  readonly synthetic: boolean;
  /** Whether there are fields for vectors, which a search leaves out unless it is asked for them. */
  readonly vectors: boolean;
  /** Whether changes of documents are not numbered, in which order they would be read. */
  readonly unnumbered: boolean;
  /** Whether the server finds the documents with a text that is too long for its keyword. */
  readonly tellsLongTexts: boolean;
}

/** The mapping and the settings that make an index what it is for its documents. */
export interface IndexOrigin {
  readonly mapping: MappingJson;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A mapping as the server tells it. */
export interface MappingJson {
  readonly dynamic?: string | boolean;
  readonly _meta?: Readonly<Record<string, unknown>>;
  readonly _source?: {
    readonly enabled?: boolean;
    readonly mode?: string;
    readonly includes?: readonly string[];
    readonly excludes?: readonly string[];
  };
  readonly properties?: Readonly<Record<string, PropertyJson>>;
  readonly runtime?: Readonly<Record<string, unknown>>;
}

/** A property of a mapping as the server tells it. */
export interface PropertyJson {
  readonly type?: string;
  readonly format?: string;
  readonly index?: boolean;
  readonly doc_values?: boolean;
  readonly similarity?: string;
  readonly enabled?: boolean;
  readonly ignore_above?: number;
  readonly normalizer?: string;
  readonly null_value?: unknown;
  readonly meta?: Readonly<Record<string, string>>;
  readonly fields?: Readonly<Record<string, PropertyJson>>;
  readonly properties?: Readonly<Record<string, PropertyJson>>;
}

/** The schema of each index that a name stands for, by the index's own name. */
export type IndexSchemas = ReadonlyMap<string, IndexSchema>;

/** The schemas of mappings, by index. Indices with the same mapping share one schema. */
export function schemasOf(
  mappings: Readonly<Record<string, MappingJson>>,
  settings: ReadonlyMap<string, IndexSettings> = new Map(),
  tellsLongTexts = true,
): IndexSchemas {
  const known = new Map<string, IndexSchema>();
  const schemas = new Map<string, IndexSchema>();
  for (const [index, mapping] of Object.entries(mappings)) {
    const own = settings.get(index);
    const text = JSON.stringify([mapping, { ...own, uuid: undefined }]);
    const schema = known.get(text) ?? indexSchema(mapping, own, tellsLongTexts);
    known.set(text, schema);
    schemas.set(index, schema);
  }
  return schemas;
}

/** The schema of all the indices that a name stands for; what they do not agree on has no type. */
export function mergedSchema(schemas: IndexSchemas): IndexSchema {
  const [first, ...rest] = new Set(schemas.values());
  if (first === undefined) throw new Error("a name always stands for one index at least");
  return rest.reduce(mergeSchemas, first);
}

/** The indices of each distinct schema. */
export function indicesBySchema(schemas: IndexSchemas): ReadonlyMap<IndexSchema, readonly string[]> {
  const groups = new Map<IndexSchema, string[]>();
  for (const [index, schema] of schemas) groups.set(schema, [...(groups.get(schema) ?? []), index]);
  return groups;
}

function indexSchema(mapping: MappingJson, settings: IndexSettings | undefined, tellsLongTexts: boolean): IndexSchema {
  const dynamic = String(mapping.dynamic ?? "true") as IndexSchema["dynamic"];
  const properties = mapping.properties ?? {};
  const sidecar = properties[SIDECAR]?.properties?.fields?.type === "keyword";
  const fields = fieldsOf(properties, "", settings?.vectorsApart === true);
  if (sidecar) fields.delete(SIDECAR);
  const ourMeta = mapping._meta?.[KIND_META] as { readonly objects?: unknown } | undefined;
  if (ourMeta?.objects === "disabled") nameObjects(fields);
  return {
    dynamic,
    ours: mapping._meta !== undefined && KIND_META in mapping._meta && dynamic === "false",
    sidecar,
    fields,
    size: countFields(properties) + Object.keys(mapping.runtime ?? {}).length,
    sourceless:
      mapping._source?.enabled === false || mapping._source?.mode === "disabled" || settings?.sourceless === true,
    hidden: { includes: mapping._source?.includes ?? [], excludes: mapping._source?.excludes ?? [] },
    origin: settings && { mapping, settings: settings.copied },
    sidecarTexts: sidecar && properties[SIDECAR]?.properties?.texts?.type === "flattened",
    synthetic: mapping._source?.mode === "synthetic" || settings?.synthetic === true,
    vectors: hasVectors(fields),
    unnumbered: settings?.unnumbered === true,
    tellsLongTexts,
  };
}

/** In OpenSearch the fields that we make for objects have nothing in which they could say so; see its dialect. */
function nameObjects(fields: Map<string, FieldSchema>): void {
  for (const [name, field] of fields) if (field.type === "disabled") fields.set(name, { ...field, kind: "object" });
}

const VECTOR_TYPES: ReadonlySet<string> = new Set(["dense_vector", "sparse_vector", "rank_vectors"]);

function hasVectors(fields: ReadonlyMap<string, FieldSchema>): boolean {
  for (const { type, properties } of fields.values()) {
    if (VECTOR_TYPES.has(type) || (properties !== undefined && hasVectors(properties))) return true;
  }
  return false;
}

function fieldsOf(
  properties: Readonly<Record<string, PropertyJson>>,
  prefix: string,
  vectorsApart: boolean,
): Map<string, FieldSchema> {
  return new Map(
    Object.keys(properties).map((name) => [name, fieldSchema(properties[name]!, prefix + name, vectorsApart)]),
  );
}

function fieldSchema(property: PropertyJson, path: string, vectorsApart: boolean): FieldSchema {
  const type = property.type ?? "object";
  const keyword = keywordOf(property, path);
  const dated = type === "date" || type === "date_nanos";
  return {
    type: property.enabled === false ? "disabled" : type,
    kind: property.meta?.[KIND_META] as FieldKind | undefined,
    idType: property.meta?.[ID_META],
    format: dated ? parseFormat(property.format) : undefined,
    keyword: keyword?.path,
    keywordLength: keyword?.length ?? 0,
    indexed: property.index !== false && property.doc_values !== false,
    rounded: vectorsApart && type === "dense_vector" ? roundingOf(property) : "no",
    nullValue: property.null_value !== undefined,
    properties: property.properties && fieldsOf(property.properties, `${path}.`, vectorsApart),
  };
}

/** For a cosine the server keeps vectors of length 1, and their lengths. */
function roundingOf({ index, similarity = "cosine" }: PropertyJson): FieldSchema["rounded"] {
  return index !== false && similarity === "cosine" ? "by arithmetic" : "to 32 bits";
}

/** Where the whole text of a field is indexed, untouched by an analyzer or a normalizer. */
function keywordOf(property: PropertyJson, path: string): { path: string; length: number } | undefined {
  const usable = ({ type, normalizer, index, doc_values }: PropertyJson): boolean =>
    type === "keyword" && normalizer === undefined && index !== false && doc_values !== false;
  if (usable(property)) return { path, length: property.ignore_above ?? Number.POSITIVE_INFINITY };
  const [name, sub] = Object.entries(property.fields ?? {}).find(([, inner]) => usable(inner)) ?? [];
  return sub && { path: `${path}.${name}`, length: sub.ignore_above ?? Number.POSITIVE_INFINITY };
}

function countFields(properties: Readonly<Record<string, PropertyJson>>): number {
  let count = 0;
  for (const property of Object.values(properties)) {
    count += 1 + Object.keys(property.fields ?? {}).length + countFields(property.properties ?? {});
  }
  return count;
}

function mergeSchemas(a: IndexSchema, b: IndexSchema): IndexSchema {
  return {
    dynamic: a.dynamic === b.dynamic ? a.dynamic : "false",
    ours: a.ours && b.ours,
    sidecar: a.sidecar && b.sidecar,
    fields: mergeFields(a.fields, b.fields),
    size: Math.max(a.size, b.size),
    sourceless: a.sourceless || b.sourceless,
    hidden: {
      includes: [...a.hidden.includes, ...b.hidden.includes],
      excludes: [...a.hidden.excludes, ...b.hidden.excludes],
    },
    origin: undefined,
    sidecarTexts: a.sidecarTexts && b.sidecarTexts,
    synthetic: a.synthetic || b.synthetic,
    vectors: a.vectors || b.vectors,
    unnumbered: a.unnumbered || b.unnumbered,
    tellsLongTexts: a.tellsLongTexts && b.tellsLongTexts,
  };
}

function mergeFields(a: ReadonlyMap<string, FieldSchema>, b: ReadonlyMap<string, FieldSchema>) {
  const fields = new Map<string, FieldSchema>();
  for (const name of new Set([...a.keys(), ...b.keys()])) fields.set(name, mergeField(a.get(name), b.get(name)));
  return fields;
}

const MIXED: FieldSchema = {
  type: "mixed",
  kind: undefined,
  idType: undefined,
  format: undefined,
  keyword: undefined,
  keywordLength: 0,
  indexed: false,
  rounded: "no",
  nullValue: false,
  properties: undefined,
};

function mergeField(a: FieldSchema | undefined, b: FieldSchema | undefined): FieldSchema {
  if (a === undefined || b === undefined) return (a ?? b)!;
  if (a.type !== b.type) return MIXED;
  if (a.properties && b.properties)
    return { ...MIXED, type: a.type, properties: mergeFields(a.properties, b.properties) };
  const same =
    a.kind === b.kind &&
    a.idType === b.idType &&
    a.keyword === b.keyword &&
    JSON.stringify(a.format) === JSON.stringify(b.format);
  return same ? { ...a, keywordLength: Math.min(a.keywordLength, b.keywordLength) } : MIXED;
}

interface FieldCapabilities {
  readonly type: string;
  /** The indices where the field is of this type; absent when it is in all of them. */
  readonly indices?: readonly string[];
  readonly searchable: boolean;
  readonly aggregatable: boolean;
  readonly meta?: Readonly<Record<string, readonly string[]>>;
}

/** The answer of the field capabilities API. */
export interface FieldCapsJson {
  readonly indices?: string | readonly string[];
  readonly fields: Readonly<Record<string, Readonly<Record<string, FieldCapabilities>>>>;
}

/**
 * The schema as far as it can be told by one who may read documents but not mappings: nothing is known of formats,
 * so dates stay text, and the index counts as somebody else's.
 */
export function mappingsOfFieldCaps({ indices = [], fields }: FieldCapsJson): Record<string, MappingJson> {
  const names = typeof indices === "string" ? [indices] : indices;
  return Object.fromEntries(names.map((name) => [name, mappingIn(name, fields)]));
}

function mappingIn(index: string, fields: FieldCapsJson["fields"]): MappingJson {
  const root: Record<string, MutableProperty> = {};
  // Parents come before their children in this order.
  for (const path of Object.keys(fields).sort()) {
    const here = Object.values(fields[path]!).filter(({ indices }) => indices?.includes(index) ?? true);
    const types = here.map(({ type }) => type);
    const [capabilities] = here;
    if (capabilities === undefined) continue;
    const kind = capabilities.meta?.[KIND_META];
    const idMeta = capabilities.meta?.[ID_META]?.length === 1 ? { [ID_META]: capabilities.meta[ID_META][0]! } : {};
    const property: MutableProperty = {
      type: types.length === 1 ? types[0]! : "mixed",
      index: capabilities.searchable,
      doc_values: capabilities.aggregatable,
      ...(kind?.length === 1 ? { meta: { [KIND_META]: kind[0]!, ...idMeta } } : { format: "unknown" }),
      // Texts that are too long for it are in no keyword; how long that is, is not told.
      ignore_above: KEYWORD_LENGTH,
    };
    placeProperty(root, path.split("."), property);
  }
  return { dynamic: "false", properties: root };
}

interface MutableProperty extends PropertyJson {
  fields?: Record<string, PropertyJson>;
  properties?: Record<string, MutableProperty>;
}

function placeProperty(root: Record<string, MutableProperty>, path: string[], property: MutableProperty): void {
  const parent = path.length > 1 ? root[path[0]!] : undefined;
  if (parent === undefined) {
    root[path.join(".")] = property;
  } else if (parent.type === "object" || parent.type === "nested") {
    parent.properties ??= {};
    placeProperty(parent.properties, path.slice(1), property);
  } else {
    parent.fields = { ...parent.fields, [path.slice(1).join(".")]: property };
  }
}
