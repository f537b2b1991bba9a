import { compareStrings, P2PError } from "@omni/p2p-core/starter";
import type { Collection, Db, Document } from "mongodb";
import type { Dialect } from "./dialect.ts";

/** The collection of leases, which is none of the user's. */
export const LEASES = "_p2p_leases";

/** One collection of a server. */
export interface CollectionHandle {
  readonly db: Db;
  readonly collection: Collection<Document>;
  readonly dialect: Dialect;
  /** The endpoint as people are shown it. */
  readonly label: string;
}

/** What `listCollections` says of a collection. */
export interface CollectionInfo {
  readonly name: string;
  readonly type?: string;
  readonly options?: { readonly collation?: unknown; readonly viewOn?: string; readonly pipeline?: unknown };
  /** What the server keeps of it; the UUID is missing for views. */
  readonly info?: { readonly uuid?: unknown };
}

const UNAUTHORIZED = 13;

/** The collection, or `undefined` when there is none; `{ name }` alone where the user may not list them. */
export async function findCollection(db: Db, name: string, signal: AbortSignal): Promise<CollectionInfo | undefined> {
  try {
    const [found] = await db.listCollections({ name }, { signal, nameOnly: false }).toArray();
    return found as CollectionInfo | undefined;
  } catch (error) {
    signal.throwIfAborted();
    if ((error as { code?: unknown }).code === UNAUTHORIZED) return { name };
    throw error;
  }
}

/** The collections that are not the server's own, by name; those that the user may use, where the others may not be seen. */
export async function listCollections(db: Db, signal: AbortSignal): Promise<CollectionInfo[]> {
  const found = (await db
    .listCollections({}, { signal, nameOnly: true, authorizedCollections: true })
    .toArray()) as CollectionInfo[];
  const isTheirs = ({ name }: CollectionInfo) => !name.startsWith("system.") && name !== LEASES;
  return found.filter(isTheirs).sort((a, b) => compareStrings(a.name, b.name));
}

/** @throws P2PError `SOURCE_NOT_FOUND` when the collection is gone: nothing found in it would look the same. */
export async function assertCollectionExists(
  { db, collection, label }: CollectionHandle,
  signal: AbortSignal,
): Promise<void> {
  if ((await findCollection(db, collection.collectionName, signal)) === undefined) {
    throw collectionNotFound(collection.collectionName, label);
  }
}

export function collectionNotFound(name: string, label: string): P2PError {
  return new P2PError(
    "SOURCE_NOT_FOUND",
    `There is no collection ${JSON.stringify(name)} in ${label}; check the option "collection" and the database`,
  );
}
