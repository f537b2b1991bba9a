import { type InspectedCollection, isP2PError, type StoreInspection } from "@omni/p2p-core/starter";
import type { Keyspace } from "../client/keyspace.ts";
import { groupKeys } from "./key-groups.ts";

/** Groups of keys that are listed at most. */
const MOST_GROUPS = 100;

/**
 * The keys of the endpoint's database in groups by the first part of their names, and the other databases that hold
 * keys. How many keys a group has is told only where all keys were looked at.
 */
export async function inspectRedis(keyspace: Keyspace, signal: AbortSignal): Promise<StoreInspection> {
  const { link, settings } = keyspace;
  const info = async (section: string) => link.info(section, signal);
  const [server, databases] = [await info("server"), await info("keyspace")];
  return {
    product: productOf(server),
    collections: [
      ...(await keyGroupsOrTrouble(keyspace, signal)),
      ...(settings.cluster ? [] : otherDatabases(databases, settings.db)),
    ],
  };
}

function productOf(server: string): string {
  const field = (name: string) => new RegExp(`^${name}:(\\S+)`, "m").exec(server)?.[1];
  const valkey = field("valkey_version");
  return valkey === undefined ? `Redis ${field("redis_version") ?? "of unknown version"}` : `Valkey ${valkey}`;
}

/** A user who may not look at the names may still see which databases there are. */
async function keyGroupsOrTrouble(keyspace: Keyspace, signal: AbortSignal): Promise<InspectedCollection[]> {
  try {
    return await keyGroups(keyspace, signal);
  } catch (error) {
    if (!isP2PError(error, "READ_FAILED")) throw error;
    const { prefix, cluster, db } = keyspace.settings;
    return [
      {
        name: prefix === "" ? "(all keys)" : `${prefix}*`,
        trouble: error.message,
        endpoint: { ...(!cluster && { database: String(db) }), metadata: { prefix } },
      },
    ];
  }
}

async function keyGroups(keyspace: Keyspace, signal: AbortSignal): Promise<InspectedCollection[]> {
  const { db, cluster } = keyspace.settings;
  const { groups, whole } = await groupKeys(keyspace, signal);
  return [...groups]
    .sort(([, a], [, b]) => b - a)
    .slice(0, MOST_GROUPS)
    .map(([group, records]) => ({
      name: group === "" ? "(keys without a prefix)" : `${group}*`,
      ...(whole && { records }),
      endpoint: { ...(!cluster && { database: String(db) }), metadata: { prefix: group } },
    }));
}

function otherDatabases(keyspace: string, db: number): InspectedCollection[] {
  return Array.from(keyspace.matchAll(/^db(\d+):keys=(\d+)/gm), ([, number, keys]) => ({
    name: `database ${number}`,
    records: Number(keys),
    endpoint: { database: number! },
  })).filter(({ endpoint }) => endpoint.database !== String(db));
}
