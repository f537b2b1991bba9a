import {
  type FieldMapping,
  type InspectedCollection,
  type P2PRecord,
  type StoreInspection,
  sampleFields,
} from "@omni/p2p-core/starter";
import type { Dialect } from "../client/dialect.ts";
import type { Link } from "../client/link.ts";
import { isHidden } from "../mapping/hidden-fields.ts";
import { idTypeOf, newFieldsOf } from "../mapping/load-schema.ts";
import { fieldAt, isStorableName } from "../mapping/names.ts";
import { type FieldSchema, type IndexSchema, type MappingJson, mergedSchema, schemasOf } from "../mapping/schema.ts";
import { lostIn } from "../mapping/synthetic-source.ts";
import { type FieldKind, idPropertyOf, propertyOf, SIDECAR } from "../types.ts";

interface IndexRow {
  readonly index: string;
  readonly "docs.count": string | null;
}

/** What indices a cluster has, and their fields. Hidden ones are told only when they are asked for by name. */
export async function inspectCluster(
  link: Link,
  index: string | undefined,
  signal: AbortSignal,
): Promise<StoreInspection> {
  const path = index === undefined ? "" : `/${encodeURIComponent(index)}`;
  const get = <T>(where: string, query: Record<string, string> = {}): Promise<T> =>
    link.json<T>({ method: "GET", path: where, query }, "open", signal);
  const root = await get<{ version?: { number?: string } }>("/");
  const mappings = await get<Record<string, { mappings: MappingJson }>>(`${path}/_mapping`);
  const rows = await get<IndexRow[]>(`/_cat/indices${path}`, { format: "json", h: "index,docs.count" });
  const counts = new Map(rows.map((row) => [row.index, Number(row["docs.count"] ?? 0)]));
  const names = Object.keys(mappings).filter((name) => index !== undefined || !name.startsWith("."));
  return {
    product: `${link.dialect.product} ${root.version?.number ?? "of an unknown version"}`,
    collections: names.sort().map((name): InspectedCollection => {
      const records = counts.get(name);
      return {
        name,
        ...(records === undefined ? {} : { records }),
        fields: [...mergedSchema(schemasOf({ [name]: mappings[name]!.mappings })).fields].map(([field, { type }]) => ({
          name: field,
          type,
        })),
        endpoint: { database: name },
      };
    }),
  };
}

/** What the fields of a sample would become in an index with this schema, or in a new one. */
export function describeMapping(
  sample: readonly P2PRecord[],
  schema: IndexSchema | undefined,
  dialect: Dialect,
): FieldMapping[] {
  const added = newFieldsOf(sample, schema);
  return sampleFields(sample).map(({ field, types }) => {
    const described = describeField(field, sample, added.get(field), schema, dialect);
    const note = schema && lossNote(field, sample, schema);
    return { field, types, lossless: true, ...described, ...(note ? { lossless: false, note } : {}) };
  });
}

/** Why a field would not come back as it is from an index that does not keep whole documents. */
function lossNote(name: string, sample: readonly P2PRecord[], { hidden, synthetic }: IndexSchema): string | undefined {
  if (isHidden(name, hidden)) return "the mapping leaves it out of _source: it is searched, and does not come back";
  if (!synthetic) return undefined;
  for (const record of sample) {
    const lost = lostIn({ id: record.id, ...(Object.hasOwn(record, name) ? { [name]: record[name] } : {}) });
    if (lost !== undefined) return `the index has a synthetic _source: records with ${lost}, are refused`;
  }
  return undefined;
}

function describeField(
  name: string,
  sample: readonly P2PRecord[],
  added: FieldKind | undefined,
  schema: IndexSchema | undefined,
  dialect: Dialect,
): Pick<FieldMapping, "storedAs"> & { note?: string; lossless?: boolean } {
  if (name === "id" && schema?.fields.get("id") === undefined) {
    const type = schema === undefined ? idPropertyOf(idTypeOf(sample)).type : undefined;
    return { storedAs: type === undefined ? "_id" : `_id, and ${type}` };
  }
  const field = schema && fieldAt(schema.fields, name);
  if (field !== undefined) return describeExisting(field, schema?.sidecarTexts === true);
  if (!isStorableName(name)) {
    return { storedAs: `${SIDECAR} (kept, not searched)`, note: `${dialect.product} cannot have a field of this name` };
  }
  if (added !== undefined) return { storedAs: typeText(added, dialect) };
  if (schema?.dynamic === "strict") {
    const note =
      "the index is strict and has no such field: its records would be refused; add the field or leave it out";
    return { storedAs: "nothing", note, lossless: false };
  }
  return { storedAs: "_source (kept, not searched)" };
}

function describeExisting(
  { kind, type }: FieldSchema,
  texts: boolean,
): Pick<FieldMapping, "storedAs"> & { note?: string } {
  if (kind !== undefined) {
    const found = texts ? "and found there by its text" : "where a search does not find it";
    return {
      storedAs: type === "disabled" ? KEPT_OBJECT : type,
      note: `what is not a ${kind} is kept in ${SIDECAR}, ${found}`,
    };
  }
  return { storedAs: type, note: "the index has this field already; values that do not fit it are refused" };
}

/** How an object is kept where the server has no type for it. */
const KEPT_OBJECT = "object (kept, not searched)";

function typeText(kind: FieldKind, dialect: Dialect): string {
  const { type, fields, enabled } = dialect.properties({ [kind]: propertyOf(kind) })[kind]!;
  if (enabled === false) return KEPT_OBJECT;
  return fields === undefined ? String(type) : `${type} with .keyword`;
}
