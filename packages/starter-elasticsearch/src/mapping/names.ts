import { SIDECAR } from "../types.ts";
import type { FieldSchema } from "./schema.ts";

/** Names that Elasticsearch keeps for itself, in one version or another. */
const RESERVED: ReadonlySet<string> = new Set([
  SIDECAR,
  "_id",
  "_index",
  "_source",
  "_size",
  "_doc_count",
  "_field_names",
  "_ignored",
  "_ignored_source",
  "_inference_fields",
  "_routing",
  "_routing_hash",
  "_meta",
  "_tier",
  "_type",
  "_seq_no",
  "_primary_term",
  "_version",
  "_nested_path",
  "_feature",
  "_data_stream_timestamp",
  "_tsid",
  "_ts_routing_hash",
  "_score",
  "_doc",
  "_shard_doc",
]);

/** More than that is a sign that data are used as names. */
const LONGEST_NAME = 255;

// At least one character that neither JavaScript nor Java takes for a space.
const VISIBLE = /[^\s\p{Cc}\u00a0]/u;

const PADDED = /^\s|\s$/;

/** Whether a document can have a field of this name, as one field: a dot would make two of it. */
export function isStorableName(name: string): boolean {
  if (name.length > LONGEST_NAME || name.includes(".") || RESERVED.has(name)) return false;
  return VISIBLE.test(name) && !PADDED.test(name);
}

/** Whether a name can be asked for in a list of source fields, where `*` and dots mean something. */
export function isPlainName(name: string): boolean {
  return /^[^.*?,\\]+$/.test(name);
}

/** The field that a name with dots leads to through the objects of a mapping. */
export function fieldAt(fields: ReadonlyMap<string, FieldSchema>, name: string): FieldSchema | undefined {
  const direct = fields.get(name);
  if (direct !== undefined || !name.includes(".")) return direct;
  for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    const inner = fields.get(name.slice(0, dot))?.properties;
    const found = inner && fieldAt(inner, name.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}
