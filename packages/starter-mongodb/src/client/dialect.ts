import type { Db, Document } from "mongodb";
import { BSON_TAGS, READ_ONLY_TAGS } from "./bson-tags.ts";

/**
 * What a server can keep. MongoDB keeps all of BSON; servers that only speak its protocol keep less, and some drop the
 * connection, or spoil the collection, when given the rest.
 */
export interface Dialect {
  readonly product: "MongoDB" | "FerretDB";
  /** Matches the field names that the server, or the driver, cannot take. */
  readonly unfitName: RegExp;
  /** Matches the names that it can keep but not be asked for. */
  readonly unfitPath?: RegExp;
  /** Whether `NaN`, the infinities and `-0` come back. */
  readonly specialNumbers: boolean;
  /** Whether an array may hold arrays. */
  readonly nestedArrays: boolean;
  /** The types of {@link TaggedValue} that are kept in a BSON type. */
  readonly nativeTags: ReadonlySet<string>;
  /** The BSON types that the server knows in `$type`, by code, in groups that compare with each other, in BSON's order. */
  readonly typeOrder: readonly (readonly number[])[];
  /** Whether an update command that fails for one record names it and goes on with the others. */
  readonly namesFailedUpdates: boolean;
  /** Whether `find` knows `allowDiskUse`, `$sample` exists, and so on. */
  readonly complete: boolean;
  /** Commands at a time from which writing to one collection still gains. */
  readonly writeConcurrency: number;
}

/** The tags of BSON's types that are written back as what they were. */
const TAGS: ReadonlySet<string> = tagsOf(Object.keys(BSON_TAGS).filter((name) => !READ_ONLY_TAGS.has(name)));

function tagsOf(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map((name) => `mongodb:${name}`));
}

/** Everything that BSON has. `_bsontype` would make the driver take a plain object for a value of its own classes. */
export const MONGODB: Dialect = {
  product: "MongoDB",
  // NUL ends a name in BSON.
  unfitName: /^\$|\0|^_bsontype$|^_p2p$/,
  specialNumbers: true,
  nestedArrays: true,
  nativeTags: TAGS,
  typeOrder: [[-1], [6], [10], [1, 16, 18, 19], [2, 14], [3], [5], [7], [8], [9], [17], [11], [12], [13], [15], [127]],
  namesFailedUpdates: true,
  complete: true,
  writeConcurrency: 4,
};

/** FerretDB 1.x keeps documents as JSON text in SQLite or PostgreSQL. */
export const FERRETDB: Dialect = {
  product: "FerretDB",
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it does not escape them in its JSON
  unfitName: /^\$|[\0-\x1f."\\]|^_bsontype$|^_p2p$/,
  unfitPath: /^\s|\s$/,
  specialNumbers: false,
  nestedArrays: false,
  nativeTags: tagsOf(["objectId", "uuid", "binary", "regex", "timestamp"]),
  typeOrder: [[10], [1, 16, 18], [2], [3], [5], [7], [8], [9], [17], [11]],
  namesFailedUpdates: false,
  complete: false,
  // Its SQLite has one writer; more than one that waits while another works only costs.
  writeConcurrency: 2,
};

/** Asks the server what it is. One that will not say is taken for MongoDB. */
export async function dialectOf(db: Db, signal: AbortSignal): Promise<Dialect> {
  try {
    const info: Document = await db.command({ buildInfo: 1 }, { signal });
    return typeof info.ferretdbVersion === "string" ? FERRETDB : MONGODB;
  } catch (error) {
    signal.throwIfAborted();
    if ((error as { code?: unknown }).code === undefined) throw error;
    return MONGODB;
  }
}
