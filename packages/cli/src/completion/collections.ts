/** Completion of the names of collections: the catalogue of the database is asked at Tab, and not waited for long. */
import { listCollections } from "@omni/p2p-core/engine";
import { collectionText, type ListedCollection } from "@omni/p2p-core/starter";
import { namedEndpoints } from "../config/named-endpoints.ts";
import { type ResolvedEndpoint, resolveTyped } from "../endpoints/resolve.ts";
import type { Session } from "../session/session.ts";
import type { Candidates } from "./candidates.ts";

/** Longest that a press of Tab waits for a store, in ms. */
const TAB_MS = 1500;

/** An endpoint up to the name of its collection: `sqlite:a.db?table=`, `elasticsearch://host/`. */
const BEFORE_NAME = /^(.*[?&](?:table|collection)=|elasticsearch(?:\+https?)?:\/\/[^/]*\/)([^&?]*)$/s;

/** The endpoints of a database's collections, where the word is one up to the collection's name. */
export async function namedCollections(partial: string, session: Session): Promise<Candidates | undefined> {
  const match = BEFORE_NAME.exec(partial);
  if (!match) return undefined;
  const [, before, start] = match as unknown as [string, string, string];
  const database = before.replace(/[?&](?:table|collection)=$/, "").replace(/\/$/, "");
  const collections = await listed(database, session);
  return collections
    .map((collection) => [encodeURIComponent(collectionText(collection)), kindOf(collection)] as const)
    .filter(([name]) => name.startsWith(start))
    .map(([name, kind]) => [`${before}${name}`, kind]);
}

/** The names that may stand in a list of them, given what is typed of it and the database that they are in. */
export async function listedNames(partial: string, database: string, session: Session): Promise<Candidates> {
  const before = partial.slice(0, partial.lastIndexOf(",") + 1);
  const start = partial.slice(before.length);
  const collections = await listed(database, session);
  return collections
    .map((collection) => [collectionText(collection), kindOf(collection)] as const)
    .filter(([name]) => name.startsWith(start) && !name.includes(","))
    .map(([name, kind]) => [`${before}${name}`, kind]);
}

function kindOf({ kind, records }: ListedCollection): string {
  return records === undefined ? kind : `${kind}, about ${records}`;
}

/** A store that cannot be reached is no reason for a shell to print an error. */
async function listed(database: string, session: Session): Promise<readonly ListedCollection[]> {
  try {
    const names = namedEndpoints(undefined);
    const quiet = { ...session, interactive: false };
    const { starter, endpoint }: ResolvedEndpoint = await resolveTyped(database, "source", quiet, names);
    return (await listCollections(starter, endpoint, { timeoutMs: TAB_MS, signal: session.signal })).collections;
  } catch {
    return [];
  }
}
