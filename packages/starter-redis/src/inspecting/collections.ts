/** The catalogue of a keyspace: the prefixes of its keys, up to the first colon. */
import {
  type CollectionCatalogue,
  type CollectionList,
  collectionText,
  type EndpointInfo,
  type ListedCollection,
  type OpenContext,
} from "@omni/p2p-core/starter";
import { openRedis } from "../client/client.ts";
import type { Keyspace } from "../client/keyspace.ts";
import { parseRedisEndpoint } from "../endpoint.ts";
import { groupKeys, SEPARATOR } from "./key-groups.ts";

export const redisCollections: CollectionCatalogue = {
  async list(endpoint, context) {
    const keyspace = await openRedis(endpoint, parseRedisEndpoint(endpoint), sourceOf(context));
    try {
      return await listPrefixes(keyspace, context.signal);
    } finally {
      await keyspace.link.close();
    }
  },
  endpointOf(endpoint, name) {
    const { prefix } = parseRedisEndpoint(endpoint);
    return withPrefix(endpoint, `${prefix}${collectionText(name)}${SEPARATOR}`);
  },
};

function sourceOf(context: OpenContext): OpenContext {
  return { ...context, role: "source" };
}

function withPrefix(endpoint: EndpointInfo, prefix: string): EndpointInfo {
  return { ...endpoint, metadata: { ...endpoint.metadata, prefix } };
}

async function listPrefixes(keyspace: Keyspace, signal: AbortSignal): Promise<CollectionList> {
  const { prefix } = keyspace.settings;
  const { groups, whole } = await groupKeys(keyspace, signal);
  const collections = [...groups].map(([group, records]): ListedCollection => {
    const about = { kind: "prefix", ...(whole && { records }), key: ["id"] } as const;
    if (group !== prefix) return { name: group.slice(prefix.length, -SEPARATOR.length), ...about };
    return {
      name: `(keys without ${SEPARATOR})`,
      ...about,
      trouble: `they share no prefix with a "${SEPARATOR}" that an endpoint could name; copy them by an endpoint with a prefix of their own`,
    };
  });
  collections.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return {
    collections,
    ...(!whole && {
      incomplete: "the database has more keys than are looked at, so that there may be other prefixes",
    }),
  };
}
