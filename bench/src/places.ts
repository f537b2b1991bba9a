/** The stores, in the order of the guide. */
export const STORES = ["memory", "sqlite", "redis", "mongodb", "elasticsearch", "postgresql"] as const;

/** One of them. */
export type Store = (typeof STORES)[number];

/** A table, keyspace, collection or index that the bench reads or writes. */
export interface Place {
  readonly store: Store;
  /** URL of the server; empty for the stores that have none. */
  readonly server: string;
  /** Name of the memory store, path of the SQLite file, number of the Redis database, or name of collection, index or table. */
  readonly name: string;
}

/** What every key in Redis begins with. */
export const REDIS_PREFIX = "docs:";

/** The database in MongoDB. */
export const MONGODB_DATABASE = "bench";

/** The schema in PostgreSQL. */
export const POSTGRESQL_SCHEMA = "public";

/** The table in SQLite. */
export const SQLITE_TABLE = "docs";

/** The place as an endpoint of the library. */
export function endpointOf({ store, server, name }: Place): string {
  switch (store) {
    case "memory":
      return `memory:${name}`;
    case "sqlite":
      return `sqlite:${name}?table=${SQLITE_TABLE}`;
    case "redis":
      return `${new URL(`/${name}`, server).href}?prefix=${REDIS_PREFIX}`;
    case "mongodb":
      return `${new URL(`/${MONGODB_DATABASE}`, server).href}?collection=${name}`;
    case "elasticsearch":
      return new URL(`/${name}`, server).href.replace(/^https?:/, (found) => `elasticsearch+${found}`);
    case "postgresql":
      // The loops' driver asks for no TLS, which costs both ways alike: neither has it.
      return `${server}?table=${POSTGRESQL_SCHEMA}.${name}&sslmode=disable`;
  }
}

/** A direction's name, such as `sqlite -> redis`. */
export function directionName(from: Store, to: Store): string {
  return `${from} -> ${to}`;
}

/** Whether a direction is meant by a pattern, in which `*` stands for any store: `* -> redis`. */
export function matchesDirection(pattern: string, direction: string): boolean {
  const sides = (text: string) => text.split("->").map((side) => side.trim());
  const wanted = sides(pattern);
  const found = sides(direction);
  return wanted.length === 2 && wanted.every((side, index) => side === "*" || side === found[index]);
}

/** All directions. */
export const DIRECTIONS: readonly { readonly from: Store; readonly to: Store }[] = STORES.flatMap((from) =>
  STORES.map((to) => ({ from, to })),
);
