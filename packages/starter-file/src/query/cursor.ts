/** Cursors and partitions of files: places between two records. */
import {
  cursorPosition,
  foreignCursor,
  foreignPartition,
  type JsonValue,
  type ParsedQuery,
  partitionBounds,
  storeCursor,
  storePartition,
} from "@omni/p2p-core/starter";
import { STORE } from "./query.ts";

/** Where reading stands: in which file, and where there. */
export interface FileCursor {
  /** The number of the file, in the order of names, and its name. */
  readonly file: number;
  readonly name: string;
  readonly at: number;
  readonly line: number;
  /** The compressed member to begin with, and where its content begins; absent for a file that is not compressed. */
  readonly member?: readonly [number, number];
  /** Compressed bytes that were read, for progress alone. */
  readonly read?: number;
  /** The size that the file had, and a print of what it ended with: it may grow, and not be written over. */
  readonly size: number;
  readonly print: string;
}

export function cursorOf(cursor: FileCursor): JsonValue {
  return storeCursor(STORE, { ...cursor } as unknown as JsonValue);
}

/** @throws P2PError `CHECKPOINT_INVALID` when it is no cursor of a file. */
export function parseCursor(cursor: JsonValue): FileCursor {
  const position = cursorPosition(STORE, cursor) as Partial<FileCursor> | null;
  if (typeof position !== "object" || position === null) throw foreignCursor(STORE);
  const { file, name, at, line, member, size, print } = position;
  const whole =
    isCount(file) &&
    isCount(at) &&
    isCount(line) &&
    isCount(size) &&
    typeof name === "string" &&
    typeof print === "string";
  const isMember = member === undefined || (Array.isArray(member) && member.length === 2 && member.every(isCount));
  if (!whole || !isMember) throw foreignCursor(STORE);
  return position as FileCursor;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A place that a part begins or ends with: which file, and where in it. */
export type Place = readonly [file: number, at: number];

/** The part of the files that a query is for. */
export interface FileRange {
  readonly from: Place;
  /** Exclusive; absent for the end of the last file. */
  readonly to?: Place;
}

export function partitionOf(from: Place, to: Place | undefined): JsonValue {
  return storePartition(STORE, { from, to });
}

/** @throws P2PError `INVALID_QUERY` when the partition is none of a file. */
export function rangeOf({ partition }: ParsedQuery): FileRange {
  const { from = [0, 0], to } = partitionBounds(STORE, partition, ["from", "to"]) ?? {};
  if (!isPlace(from) || (to !== undefined && !isPlace(to))) throw foreignPartition(STORE);
  return { from, ...(to !== undefined && { to }) };
}

function isPlace(value: unknown): value is Place {
  return Array.isArray(value) && value.length === 2 && value.every(isCount);
}
