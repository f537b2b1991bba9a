/** Change events: what a change stream tells of one change, and the document that it names. */
import type { IdRef } from "@omni/p2p-core/starter";
import type { Document, Timestamp } from "mongodb";
import type { OpenCollection } from "../query/open-collection.ts";
import { locatorOfKey } from "../values/locator.ts";

/**
 * The fields that are asked for. The record is looked up anew, and an event that told it, or its changes, could be larger than an
 * answer may be, which ends a stream.
 */
export const EVENT_FIELDS: readonly string[] = ["_id", "documentKey", "operationType", "ns", "clusterTime", "wallTime"];

/** A change event with these fields alone. */
export interface ChangeEvent extends Document {
  readonly operationType: string;
  readonly documentKey?: Document;
  readonly clusterTime?: Timestamp;
  /** Since MongoDB 6. */
  readonly wallTime?: Date;
}

/** Events that change no document, on servers and with options that tell of them. */
const HARMLESS: ReadonlySet<string> = new Set([
  "create",
  "createIndexes",
  "dropIndexes",
  "modify",
  "shardCollection",
  "refineCollectionShardKey",
  "reshardCollection",
]);

export function isHarmless({ operationType }: ChangeEvent): boolean {
  return HARMLESS.has(operationType);
}

/** The document that an event names: its `_id` with its type, and its shard key. */
export function refOf({ documentKey }: ChangeEvent, opened: OpenCollection): IdRef | undefined {
  if (documentKey?._id === undefined) return undefined;
  const { bson, decoder, shardKey } = opened;
  const key = decoder.decode(bson.serialize(documentKey));
  const locator = locatorOfKey(key, shardKey);
  return { id: key.id, ...(locator !== undefined && { locator }) };
}
