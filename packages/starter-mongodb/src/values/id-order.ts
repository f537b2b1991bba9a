import {
  foreignPartition,
  fromJson,
  type JsonValue,
  type P2PId,
  partitionBounds,
  storePartition,
  TaggedValue,
  toJson,
} from "@omni/p2p-core/starter";
import type { Document } from "mongodb";
import type { Dialect } from "../client/dialect.ts";
import { STORE } from "../client/storage-type.ts";
import type { RecordEncoder } from "./encode.ts";

/** A range of ids in BSON's order, in which values of different types have their places too. */
export interface IdRange {
  /** Exclusive; from the first on when absent. */
  readonly after?: P2PId | undefined;
  /** Inclusive; to the last when absent. */
  readonly upTo?: P2PId | undefined;
}

/** A range as a partition of a query. */
export function partitionOf({ after, upTo }: IdRange): JsonValue {
  return storePartition(STORE, {
    after: after === undefined ? undefined : toJson(after),
    upTo: upTo === undefined ? undefined : toJson(upTo),
  });
}

/** @throws P2PError `INVALID_QUERY` when the partition is none that {@link partitionOf} gave. */
export function parseRange(partition: JsonValue | undefined): IdRange {
  const { after, upTo } = partitionBounds(STORE, partition, ["after", "upTo"]) ?? {};
  return { after: after === undefined ? undefined : idOf(after), upTo: upTo === undefined ? undefined : idOf(upTo) };
}

function idOf(json: JsonValue): P2PId {
  try {
    const id = fromJson(json);
    if (id !== null && !Array.isArray(id)) return id as P2PId;
  } catch {
    // Below.
  }
  throw foreignPartition(STORE);
}

/**
 * Filters that together, by "or", match the ids after this one. `$gt` alone compares within the type of its value, so
 * what BSON orders behind that type is named by type.
 */
export function idsAfter(id: P2PId, dialect: Dialect, encoder: RecordEncoder): Document[] {
  const encoded = encoder.id(id);
  const place = typePlace(encoded, dialect);
  const later = dialect.typeOrder.slice(place + 1).flat();
  // NaN is before all other numbers, but they are not greater than it.
  const same = isNaNId(id) ? { $type: dialect.typeOrder[place]!, $not: { $eq: Number.NaN } } : { $gt: encoded };
  return later.length === 0 ? [{ _id: same }] : [{ _id: same }, { _id: { $type: later } }];
}

/** Filters that together, by "or", match the ids before this one. */
export function idsBefore(id: P2PId, dialect: Dialect, encoder: RecordEncoder): Document[] {
  const filters = idsUpTo(id, dialect, encoder).slice(1);
  const encoded = encoder.id(id);
  if (isNaNId(id)) return filters.filter(({ _id }) => "$type" in (_id as Document));
  return [{ _id: { $lt: encoded } }, ...filters];
}

/** Filters that together, by "or", match this id and those before it. */
export function idsUpTo(id: P2PId, dialect: Dialect, encoder: RecordEncoder): Document[] {
  const encoded = encoder.id(id);
  const place = typePlace(encoded, dialect);
  const filters: Document[] = [{ _id: { $lte: encoded } }];
  // Nor is NaN less than any of them.
  if (dialect.specialNumbers && dialect.typeOrder[place]!.includes(NUMBER)) filters.push({ _id: { $eq: Number.NaN } });
  const earlier = dialect.typeOrder.slice(0, place).flat();
  if (earlier.length > 0) filters.push({ _id: { $type: earlier } });
  return filters;
}

function isNaNId(id: P2PId): boolean {
  return Number.isNaN(id) || (id instanceof TaggedValue && id.type === "mongodb:decimal128" && id.value === "NaN");
}

const NUMBER = 1;

/** The codes of the BSON types by what the driver calls them. */
const CLASS_CODES: Readonly<Record<string, number>> = {
  Double: NUMBER,
  Int32: NUMBER,
  Long: NUMBER,
  Binary: 5,
  ObjectId: 7,
  Code: 13,
  BSONSymbol: 14,
  Timestamp: 17,
  Decimal128: 19,
  MinKey: -1,
  MaxKey: 127,
};

/** Where the type of a stored id is in BSON's order. */
function typePlace(encoded: unknown, { typeOrder }: Dialect): number {
  const code = typeCode(encoded);
  return typeOrder.findIndex((group) => group.includes(code));
}

export function typeCode(encoded: unknown): number {
  switch (typeof encoded) {
    case "number":
    case "bigint":
      return NUMBER;
    case "string":
      return 2;
    case "boolean":
      return 8;
    default:
      if (encoded === null) return 10;
      if (encoded instanceof Date) return 9;
      if (encoded instanceof Uint8Array) return 5;
      return CLASS_CODES[(encoded as { _bsontype?: string })._bsontype ?? ""] ?? 3;
  }
}
