import { type Property, SIDECAR } from "../types.ts";
import type { LinkRequest } from "./request.ts";

/** The order of a search, as the server takes it. */
export type Sort = readonly Readonly<Record<string, unknown>>[];

/** What differs between the servers that speak this API. */
export interface Dialect {
  readonly product: "Elasticsearch" | "OpenSearch";
  /** The media types of a body in JSON and of one in lines of JSON. */
  readonly json: string;
  readonly lines: string;
  /** The order of places in a view, in which no two documents have the same one. */
  readonly places: Sort;
  /** What every other order ends with. */
  readonly ties: Sort;
  /** Asks for an unchanging view of an index. */
  openView(index: string, keepAlive: string): LinkRequest;
  /** Its id in the answer. */
  viewIn(answer: Readonly<Record<string, unknown>>): string;
  closeView(id: string): LinkRequest;
  /** Whether a text that is longer than `ignore_above` makes its field one of the document's `_ignored` ones. */
  readonly tellsLongTexts: boolean;
  /** What leaves the server's own fields out of the field capabilities, which do no harm there. */
  readonly documentFields: Readonly<Record<string, string>>;
  /** What an index of ours says of itself in the `_meta` of its mapping. */
  readonly ourMeta: Readonly<Record<string, unknown>>;
  /** The properties of a mapping in types that the server has. */
  properties(properties: Readonly<Record<string, Property>>): Readonly<Record<string, Property>>;
}

export const ELASTICSEARCH: Dialect = {
  product: "Elasticsearch",
  // Versions 8 and 9 of the server both speak version 8 of the API. Version 9 of the client asks for version 9 of it,
  // which a server of version 8 refuses; these headers stand above the client's own.
  json: "application/vnd.elasticsearch+json; compatible-with=8",
  lines: "application/vnd.elasticsearch+x-ndjson; compatible-with=8",
  places: [{ _shard_doc: "asc" }],
  // The number of a document's last change belongs to the document and tells apart those of one shard; the place within
  // the view tells apart the shards.
  ties: [{ _seq_no: "asc" }, { _shard_doc: "asc" }],
  openView: (index, keepAlive) => ({
    method: "POST",
    path: `/${encodeURIComponent(index)}/_pit`,
    query: { keep_alive: keepAlive },
  }),
  viewIn: ({ id }) => id as string,
  closeView: (id) => ({ method: "DELETE", path: "/_pit", body: JSON.stringify({ id }) }),
  tellsLongTexts: true,
  documentFields: { filters: "-metadata" },
  ourMeta: { version: 1 },
  properties: (properties) => properties,
};

/** The first version that sorts by the place within a view. */
const FIRST_OPENSEARCH = [3, 3] as const;

export const OPENSEARCH: Dialect = {
  product: "OpenSearch",
  json: "application/json",
  lines: "application/x-ndjson",
  // Its places are those within a shard of an index, so that two indices have the same ones.
  places: [{ _index: "asc" }, { _shard_doc: "asc" }],
  ties: [{ _seq_no: "asc" }, { _index: "asc" }, { _shard_doc: "asc" }],
  openView: (index, keepAlive) => ({
    method: "POST",
    path: `/${encodeURIComponent(index)}/_search/point_in_time`,
    query: { keep_alive: keepAlive },
  }),
  viewIn: ({ pit_id }) => pit_id as string,
  closeView: (id) => ({ method: "DELETE", path: "/_search/point_in_time", body: JSON.stringify({ pit_id: [id] }) }),
  tellsLongTexts: false,
  documentFields: {},
  ourMeta: { version: 1, objects: "disabled" },
  // It has no type for objects that says which kind it was made for: they are kept, and nothing in them is indexed.
  properties: (properties) =>
    Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, inOpenSearch(name, property)])),
};

function inOpenSearch(name: string, property: Property): Property {
  if (property.type === "flattened") return { type: "object", enabled: false };
  if (name !== SIDECAR) return property;
  const { texts: _, ...others } = property.properties as Readonly<Record<string, Property>>;
  return { ...property, properties: others };
}

/** What this starter makes of a version of OpenSearch. */
export function openSearchIn(
  version: string | undefined,
): { readonly version: string; readonly known: boolean } | undefined {
  if (version === undefined) return undefined;
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const known = major > FIRST_OPENSEARCH[0] || (major === FIRST_OPENSEARCH[0] && minor >= FIRST_OPENSEARCH[1]);
  return { version, known };
}
