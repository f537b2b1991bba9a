/** The catalogue of a cluster: its indices and data streams, and as views its aliases. Hidden ones are not listed. */
import {
  type CollectionCatalogue,
  type CollectionList,
  collectionText,
  type EndpointInfo,
  type OpenContext,
  P2PError,
} from "@omni/p2p-core/starter";
import type { Link } from "../client/link.ts";
import { indexOf, parseElasticsearchEndpoint } from "../endpoint.ts";

/** @param visit connects to a cluster, asks it something, and closes the connection again. */
export function elasticsearchCollections(
  visit: (
    endpoint: EndpointInfo,
    context: OpenContext,
    look: (link: Link, signal: AbortSignal) => Promise<CollectionList>,
  ) => Promise<CollectionList>,
): CollectionCatalogue {
  return {
    async list(endpoint, context) {
      assertNoIndex(endpoint);
      return visit(endpoint, context, listCluster);
    },
    endpointOf(endpoint, name) {
      assertNoIndex(endpoint);
      const named = { ...endpoint, database: collectionText(name) };
      indexOf(parseElasticsearchEndpoint(named), "target");
      return named;
    },
  };
}

function assertNoIndex(endpoint: EndpointInfo): void {
  const { index, label } = parseElasticsearchEndpoint(endpoint);
  if (index === undefined) return;
  throw new P2PError(
    "INVALID_ENDPOINT",
    `Invalid endpoint ${label}: it names the index "${index}", and the whole cluster is asked for; leave the path out`,
  );
}

interface IndexRow {
  readonly index: string;
  readonly "docs.count": string | null;
}

async function listCluster(link: Link, signal: AbortSignal): Promise<CollectionList> {
  const get = <T>(path: string, query: Record<string, string>): Promise<T> =>
    link.json<T>({ method: "GET", path, query }, "open", signal);
  const rows = await get<IndexRow[]>("/_cat/indices", {
    format: "json",
    h: "index,docs.count",
    expand_wildcards: "open",
  });
  const aliases = await get<{ readonly alias: string }[]>("/_cat/aliases", { format: "json", h: "alias" });
  const streams = await dataStreams(link, signal);
  const own = ({ name }: { readonly name: string }) => !name.startsWith(".");
  const indices = rows.map(({ index, "docs.count": count }) => ({
    name: index,
    kind: "index" as const,
    key: ["id"],
    ...(count !== null && { records: Number(count) }),
  }));
  const views = [...new Set(aliases.map(({ alias }) => alias))].map((name) => ({
    name,
    kind: "view" as const,
    key: ["id"],
  }));
  const listed = [...indices, ...streams.map((name) => ({ name, kind: "index" as const, key: ["id"] })), ...views];
  return { collections: listed.filter(own).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)) };
}

/** Distributions without data streams, and users who may not look at them, have none to list. */
async function dataStreams(link: Link, signal: AbortSignal): Promise<string[]> {
  const accept = [400, 401, 403, 404, 405];
  const { status, text } = await link.request({ method: "GET", path: "/_data_stream", accept }, "open", signal);
  if (status >= 400) return [];
  const { data_streams = [] } = link.parse<{ readonly data_streams?: readonly { readonly name: string }[] }>(
    text,
    "open",
  );
  return data_streams.map(({ name }) => name);
}
