/** Dead letters: their format, and the sink that takes them. */
import type { P2PErrorCode } from "../../errors.ts";
import { toJson } from "../../model/json.ts";
import { jsonLine } from "../../model/json-line.ts";
import type { JsonValue } from "../../model/json-value.ts";
import type { P2PRecord } from "../../model/record.ts";
import { isSingleObject } from "../../model/value-types.ts";

/** A record that failed for good, with all that is needed to mend and replay it. */
export interface DeadLetter {
  /** Stays the first: a file of letters is known by it (`recognise-letters.ts`). */
  readonly transferId: string;
  /** The record's id as text; empty when it has none. */
  readonly id: string;
  readonly phase: "read" | "transform" | "write";
  readonly code: P2PErrorCode;
  readonly reason: string;
  /** How often it was sent to the target. */
  readonly attempts: number;
  /** Where it stood: its number among the records read, from 0. */
  readonly position: number;
  /** ISO 8601. */
  readonly at: string;
  /**
   * What was to be written (phase `write`) or went into the transform (phase `transform`); absent when it could not
   * be read.
   */
  readonly record?: P2PRecord;
}

/** Takes the dead letters of a transfer, in the order of the source. */
export interface DeadLetterSink {
  /** How people find it: a file's path, an endpoint. */
  readonly location: string;
  /** What the user should know of it once it was opened, in sentences: they stand among the notes of the result. */
  readonly notes?: readonly string[];
  /**
   * Opens the sink at a position it gave before; what it holds beyond is dropped. `null` means the beginning.
   * Letters of another run are never among what is dropped.
   *
   * @throws P2PError `DEAD_LETTER_FAILED`
   */
  open(position: JsonValue): Promise<void>;
  /**
   * Keeps the letters safe before it resolves, and tells the position after them.
   *
   * @throws P2PError `DEAD_LETTER_FAILED`
   */
  write(letters: readonly DeadLetter[]): Promise<JsonValue>;
  /** Makes sure that what was written survives a loss of power; called before the checkpoint is made to. */
  flush?(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Longest line of a dead-letter file, in bytes, without its end. A document of MongoDB's (16 MB) with every byte escaped
 * (six for one) fits well, and so does a request of Elasticsearch (100 MB); a text in JavaScript has at most twice as much.
 */
export const MAX_LETTER_BYTES = 256 * 1024 * 1024;

/**
 * A dead letter as a line of a file, with its end. A record that makes it longer than can be read again is left out, and
 * the reason tells it: the letter still names the record.
 *
 * @param most bytes that the line may have without its end.
 */
export function letterLine(letter: DeadLetter, most = MAX_LETTER_BYTES): Buffer {
  const line = lineOf(letter);
  if (line !== undefined && line.length <= most + 1) return line;
  const { record: _, ...rest } = letter;
  const reason = `${letter.reason} (the record is longer than the ${most} bytes that a dead letter may have, and not in it; fetch it from the source)`;
  return Buffer.from(jsonLine({ ...rest, reason }));
}

/** Nothing when it is longer than a text can be. */
function lineOf(letter: DeadLetter): Buffer | undefined {
  try {
    return Buffer.from(jsonLine(letterToJson(letter)));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** A dead letter as plain JSON, as it stands in a file. */
export function letterToJson(letter: DeadLetter): JsonValue {
  const { record, ...rest } = letter;
  if (record === undefined) return rest;
  try {
    return { ...rest, record: toJson(record) };
  } catch {
    // A thing that is no valid record (an invalid date, a circle) is shown as well as it can be.
    return { ...rest, record: describe(record, 0) };
  }
}

function describe(value: unknown, depth: number): JsonValue {
  if (typeof value !== "object" || value === null || isSingleObject(value)) return String(value);
  if (depth > 4) return "…";
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, describe(inner, depth + 1)]));
}
