import type { Db, Document } from "mongodb";

/**
 * The shard key of a collection, as paths without `_id`: what a server of a sharded cluster needs besides the id to go to
 * one shard. None where the collection is not sharded, where the key is the id, and where the user may not read `config`.
 */
export async function shardKeyOf(db: Db, collection: string, hello: Document, signal: AbortSignal): Promise<string[]> {
  if (hello.msg !== "isdbgrid") return [];
  try {
    const collections = db.client.db("config").collection<{ _id: string }>("collections");
    return shardKeyPaths(await collections.findOne({ _id: `${db.databaseName}.${collection}` }, { signal }));
  } catch {
    signal.throwIfAborted();
    return [];
  }
}

/** The paths of what `config.collections` says of a collection. */
export function shardKeyPaths(entry: Document | null): string[] {
  // Newer servers list collections that lie on one shard there too, under a key that says nothing.
  if (entry === null || entry.dropped === true || entry.unsplittable === true) return [];
  return Object.keys((entry.key as Document | undefined) ?? {}).filter((path) => path !== "_id");
}
