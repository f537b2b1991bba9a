import { P2PError, type P2PRecord, setField, type ValueType, valueType } from "@omni/p2p-core/starter";
import type { Dialect } from "../client/dialect.ts";
import type { Link } from "../client/link.ts";
import type { Phase } from "../client/verdicts.ts";
import {
  type FieldKind,
  idPropertyOf,
  KIND_META,
  kindOf,
  type Property,
  propertyOf,
  SIDECAR,
  SIDECAR_PROPERTY,
} from "../types.ts";
import { loadSettings } from "./index-settings.ts";
import { isStorableName } from "./names.ts";
import {
  type FieldCapsJson,
  type IndexSchema,
  type IndexSchemas,
  type MappingJson,
  mappingsOfFieldCaps,
  mergedSchema,
  schemasOf,
} from "./schema.ts";
import type { IndexTemplate } from "./templates.ts";

/** The schema of what is written to under a name, or `undefined` when there is no such index. */
export async function loadSchema(
  link: Link,
  index: string,
  phase: Phase,
  signal: AbortSignal,
): Promise<IndexSchema | undefined> {
  const schemas = await loadSchemas(link, index, phase, signal);
  if (schemas === undefined) return undefined;
  // Documents are read back by the mapping of the index that they went to.
  const writeIndex = schemas.size > 1 ? await writeIndexOf(link, index, phase, signal) : undefined;
  return (writeIndex === undefined ? undefined : schemas.get(writeIndex)) ?? mergedSchema(schemas);
}

/** The index that documents go to under the name of an alias or a data stream. */
async function writeIndexOf(link: Link, index: string, phase: Phase, signal: AbortSignal): Promise<string | undefined> {
  const name = encodeURIComponent(index);
  const refused = [400, 403, 404, 405];
  const aliases = await link.request({ method: "GET", path: `/_alias/${name}`, accept: refused }, phase, signal);
  if (aliases.status < 400) {
    const found = link.parse<Record<string, { aliases?: Record<string, { is_write_index?: boolean }> }>>(
      aliases.text,
      phase,
    );
    const marked = Object.keys(found).find((name) => found[name]?.aliases?.[index]?.is_write_index);
    if (marked !== undefined) return marked;
  }
  const streams = await link.request({ method: "GET", path: `/_data_stream/${name}`, accept: refused }, phase, signal);
  if (streams.status >= 400) return undefined;
  const { data_streams: [stream] = [] } = link.parse<{
    data_streams?: { indices: { index_name: string }[] }[];
  }>(streams.text, phase);
  return stream?.indices.at(-1)?.index_name;
}

/**
 * The schemas of all the indices that a name stands for, or `undefined` when there are none. One who may read documents
 * but not mappings is told what the field capabilities say.
 */
export async function loadSchemas(
  link: Link,
  index: string,
  phase: Phase,
  signal: AbortSignal,
): Promise<IndexSchemas | undefined> {
  const path = `/${encodeURIComponent(index)}`;
  const [answer, settings] = await Promise.all([
    link.request(
      { method: "GET", path: `${path}/_mapping`, query: { allow_no_indices: "false" }, accept: [403, 404] },
      phase,
      signal,
    ),
    loadSettings(link, index, phase, signal),
  ]);
  if (answer.status === 403) {
    const query = { fields: "*", allow_no_indices: "false", ...link.dialect.documentFields };
    const caps = await link.json<FieldCapsJson>({ method: "GET", path: `${path}/_field_caps`, query }, phase, signal);
    return schemasOf(mappingsOfFieldCaps(caps), settings, link.dialect.tellsLongTexts);
  }
  if (answer.status === 404) {
    if (answer.refusal.cause?.type === "index_not_found_exception") return undefined;
    throw new P2PError(
      "CONNECTION_FAILED",
      `What answers at ${link.label} is not Elasticsearch 8 or 9, nor OpenSearch; check host and port`,
    );
  }
  const indices = link.parse<Record<string, { mappings: MappingJson }>>(answer.text, phase);
  const mappings = Object.fromEntries(Object.entries(indices).map(([name, { mappings }]) => [name, mappings]));
  return schemasOf(mappings, settings, link.dialect.tellsLongTexts);
}

/** Fields that a mapping does not have yet, and the kind of value that each first came with. */
export type NewFields = ReadonlyMap<string, FieldKind>;

/** What documents ask of the index that they go to. */
export interface MappingNeeds {
  /** The fields that the index would have to get, if it may get any. */
  newFields(schema: IndexSchema | undefined): NewFields;
  /** The field of the ids, in an index that has to be made. */
  idProperty(): Property;
}

/** What the documents of these records need. */
export function needsOf(records: readonly P2PRecord[]): MappingNeeds {
  return {
    newFields: (schema) => newFieldsOf(records, schema),
    idProperty: () => idPropertyOf(idTypeOf(records)),
  };
}

/** The fields of the records that an index would have to get, if it may get any. */
export function newFieldsOf(records: readonly P2PRecord[], schema: IndexSchema | undefined): NewFields {
  const found = new Map<string, FieldKind>();
  if (schema !== undefined && !takesFields(schema)) return found;
  for (const record of records) {
    for (const name of Object.keys(record)) {
      if (name === "id" || found.has(name) || schema?.fields.has(name)) continue;
      const kind = kindOf(record[name]);
      if (kind !== undefined && isStorableName(name)) found.set(name, kind);
    }
  }
  return found;
}

/** Whether fields may be added to a mapping. */
export function takesFields({ ours, sidecar, dynamic }: IndexSchema): boolean {
  return ours ? sidecar : dynamic === "true";
}

/** The kind of the ids, if they are all of one; else that of text. */
export function idTypeOf(records: readonly P2PRecord[]): ValueType {
  const [first] = records;
  const type = first === undefined ? "string" : valueType(first.id);
  return records.every(({ id }) => valueType(id) === type) ? type : "string";
}

/** As many of the new fields as a mapping of this size has room for, as properties. */
export function propertiesWithin(fields: NewFields, room: number): Record<string, Property> {
  const properties: Record<string, Property> = {};
  let left = room;
  for (const [name, kind] of fields) {
    // A text counts twice, for its keyword.
    left -= kind === "string" ? 2 : 1;
    if (left < 0) break;
    setField(properties, name, propertyOf(kind));
  }
  return properties;
}

/** Elasticsearch's own limit of fields in an index, where the index's settings do not say another. */
export const DEFAULT_FIELD_LIMIT = 1000;

/** The fields of our own in an index that we make: the id, and the sidecar with three. */
const OWN_FIELDS = 5;

/** How an index is to be made, as the endpoint's options say. */
export interface NewIndexSettings {
  readonly shards: number;
  readonly replicas?: number;
}

/**
 * The settings of a new index.
 *
 * @param sharded whether somebody else has said how many shards it has, which then holds unless more are asked for.
 */
export function settingsBody({ shards, replicas }: NewIndexSettings, sharded: boolean): Record<string, number> {
  return {
    ...(sharded && shards === 1 ? {} : { number_of_shards: shards }),
    ...(replicas === undefined ? {} : { number_of_replicas: replicas }),
  };
}

/** How an index is made that does not exist. */
export function newIndexBody(
  needs: MappingNeeds,
  settings: NewIndexSettings,
  dialect: Dialect,
  { sharded = false, fieldLimit = DEFAULT_FIELD_LIMIT }: Partial<IndexTemplate> = {},
): string {
  // Where there is no room for our own fields, all is kept and nothing is searched.
  const own = fieldLimit < OWN_FIELDS ? {} : { id: needs.idProperty(), [SIDECAR]: SIDECAR_PROPERTY };
  const properties = propertiesWithin(needs.newFields(undefined), fieldLimit - OWN_FIELDS);
  return JSON.stringify({
    settings: settingsBody(settings, sharded),
    mappings: {
      // Fields come with the records, one by one and each with a type: data cannot blow the mapping up.
      dynamic: false,
      _meta: { [KIND_META]: dialect.ourMeta },
      properties: dialect.properties(Object.assign(own, properties)),
    },
  });
}
