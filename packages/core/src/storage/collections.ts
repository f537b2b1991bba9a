/** The catalogue of a database: which collections (tables, views, collections, indices, prefixes of keys) there are in it. */

/** What a collection is in its store. A `view` has no records of its own: whoever copies all leaves it out unless it is named. */
export type CollectionKind = "table" | "view" | "collection" | "index" | "prefix";

/** The name of a collection, in the form that stores tell each other. */
export interface CollectionName {
  /** What stands before the name in its store: PostgreSQL's schema, the database of a MongoDB server. Default: none. */
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** A foreign key: the fields of a collection that name records of another. */
export interface ForeignKey {
  readonly fields: readonly string[];
  /** The collection that must hold what they name; it may be the very same. */
  readonly references: CollectionName;
}

/** A collection as its database lists it. */
export interface ListedCollection extends CollectionName {
  readonly kind: CollectionKind;
  /** The name leads to it without its namespace. Default: whether it has none. */
  readonly visible?: boolean | undefined;
  /** About how many records it holds, as the store estimates: nothing is counted for it that would take long. */
  readonly records?: number | undefined;
  /** The fields of its key. */
  readonly key?: readonly string[] | undefined;
  /** Its foreign keys to collections of the same database. */
  readonly foreignKeys?: readonly ForeignKey[] | undefined;
  /** Writes to it set off more, such as triggers of the user's. Needed only where `foreignKeys` of the catalogue has `alsoOff`. Default `false`. */
  readonly triggers?: boolean | undefined;
  /** Why no endpoint leads to it, or why it cannot be looked at. The others are listed all the same. */
  readonly trouble?: string | undefined;
}

/** What a database lists: never the system's own collections, nor what starters keep beside them. */
export interface CollectionList {
  readonly collections: readonly ListedCollection[];
  /** Where a name without a namespace leads while there is no collection of it: PostgreSQL's current schema. Default: none. */
  readonly namespace?: string;
  /** There may be others, and why. Absent where this is all. */
  readonly incomplete?: string;
}

/** The name of a collection as people write it: with its namespace where it needs one. */
export function collectionText({
  namespace,
  name,
  visible,
}: CollectionName & { readonly visible?: boolean | undefined }): string {
  return namespace === undefined || visible === true ? name : `${namespace}.${name}`;
}
