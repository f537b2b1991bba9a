import { createHash, randomUUID } from "node:crypto";
import { isP2PError, type StoreIdentity } from "@omni/p2p-core/starter";
import type { RedisEndpoint } from "../endpoint.ts";
import type { RedisLink } from "./link.ts";

/** Share of the keys of a database from which on they are taken for what comes and goes by itself. */
const MANY = 0.5;

/**
 * What tells a keyspace from others. Redis itself does not tell a flushed database from the one before: its run and
 * replication ids change with a restart that kept all data, and stay through a FLUSHALL. So there is an incarnation only
 * with a marker, a key that the user lets this library set.
 */
export async function storeIdentity(
  link: RedisLink,
  settings: RedisEndpoint,
  signal: AbortSignal,
): Promise<StoreIdentity> {
  const [thing, incarnation, volatile] = await Promise.all([
    thingOf(link, settings, signal),
    markerOf(link, settings, signal),
    comesAndGoes(link, settings, signal),
  ]);
  return {
    ...(thing !== undefined && { thing }),
    ...(incarnation !== undefined && { incarnation }),
    ...(volatile && { volatile }),
  };
}

/** A primary and its replicas have one replication id, by whatever name they are reached. */
async function thingOf(link: RedisLink, settings: RedisEndpoint, signal: AbortSignal): Promise<string | undefined> {
  const sections = await link.infoOfAll("replication", signal);
  const ids = sections.map((section) => /^master_replid:(\w+)/m.exec(section)?.[1]);
  if (ids.length === 0 || ids.includes(undefined)) return undefined;
  const id = ids.length === 1 ? ids[0] : createHash("sha1").update(ids.sort().join()).digest("hex");
  return `server ${id} database ${settings.db} prefix ${JSON.stringify(settings.prefix)}`;
}

async function markerOf(link: RedisLink, { marker }: RedisEndpoint, signal: AbortSignal): Promise<string | undefined> {
  if (marker === undefined) return undefined;
  const read = async () => (await link.send("read", signal, { name: "get", args: [marker] })) as Buffer | null;
  const value = (await read()) ?? ((await setMarker(link, marker, signal)) ? await read() : null);
  return value === null ? undefined : `marker ${createHash("sha256").update(value).digest("hex").slice(0, 32)}`;
}

/** Sets it unless it is there; `false` where that may not be: a source may be a replica, or its user one who reads alone. */
async function setMarker(link: RedisLink, marker: string, signal: AbortSignal): Promise<boolean> {
  // Asked first, since the client takes a refusal for a reason to connect anew.
  if (/^role:slave/m.test(await link.info("replication", signal))) return false;
  try {
    await link.send("write", signal, { name: "set", args: [marker, randomUUID(), "NX"] });
    return true;
  } catch (error) {
    if (isP2PError(error, "TARGET_NOT_WRITABLE")) return false;
    throw error;
  }
}

/** Whether keys vanish by themselves, by a time to live or because the server makes room. */
async function comesAndGoes(
  link: RedisLink,
  { ttl, ttlField, format, db }: RedisEndpoint,
  signal: AbortSignal,
): Promise<boolean> {
  // A dump has its field always, whether keys expire or not.
  if (ttl !== undefined || (ttlField !== undefined && format !== "dump")) return true;
  const [memory, keyspace] = await Promise.all([link.info("memory", signal), link.info("keyspace", signal)]);
  const [, keys, expires] = new RegExp(`^db${db}:keys=(\\d+),expires=(\\d+)`, "m").exec(keyspace) ?? [];
  if (Number(expires ?? 0) > Number(keys ?? 0) * MANY) return true;
  return /^maxmemory:[1-9]/m.test(memory) && !/^maxmemory_policy:noeviction/m.test(memory);
}
