import * as mongodb from "mongodb";
import { type Dialect, FERRETDB } from "../src/client/dialect.ts";
import type { OpenCollection } from "../src/query/open-collection.ts";
import { RecordDecoder } from "../src/values/decode.ts";
import { RecordEncoder } from "../src/values/encode.ts";

/** A collection as the starter opens it, with what a test wants to be otherwise: another dialect, a shard key. */
export function openedAs(
  collection: mongodb.Collection<mongodb.Document>,
  changed: Partial<OpenCollection> & { readonly dialect?: Dialect },
): OpenCollection {
  const { dialect = FERRETDB } = changed;
  return {
    db: collection.db,
    collection: collection.db.collection(collection.collectionName),
    encoder: new RecordEncoder(dialect, mongodb),
    decoder: new RecordDecoder((bytes) => new mongodb.Decimal128(bytes).toString()),
    bson: mongodb.BSON,
    collated: false,
    shardKey: [],
    sessions: false,
    deletable: true,
    maxDocumentBytes: 16 * 1024 * 1024,
    label: "mongodb://test",
    ...changed,
    dialect,
  };
}

/** What a server of the test can keep, asked as MongoDB is asked. */
export const ASKED_AS_MONGODB: Dialect = { ...FERRETDB, complete: true };

/** The same collection, with something done before the n-th call of a method, counted from 1. */
export function interrupted(
  collection: mongodb.Collection<mongodb.Document>,
  method: "find" | "bulkWrite" | "deleteMany",
  call: number,
  interrupt: () => Promise<unknown>,
): mongodb.Collection<mongodb.Document> {
  const own = collection.db.collection(collection.collectionName);
  let calls = 0;
  const original = own[method].bind(own) as (...given: unknown[]) => unknown;
  const replaced = (...given: unknown[]): unknown => {
    if (++calls !== call) return original(...given);
    if (method !== "find") return interrupt().then(() => original(...given));
    const cursor = original(...given) as mongodb.FindCursor;
    const next = cursor.next.bind(cursor);
    let first: Promise<unknown> | undefined;
    return Object.assign(cursor, {
      next: async () => {
        first ??= interrupt();
        await first;
        return next();
      },
    });
  };
  return Object.assign(own, { [method]: replaced });
}
