import { type FileHandle, open, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { isP2PError, P2PError } from "../../errors.ts";
import { foreignCursor } from "../../kit/cursor.ts";
import { fromJson } from "../../model/json.ts";
import type { JsonValue } from "../../model/json-value.ts";
import { parseJson } from "../../model/parse-json.ts";
import { type P2PRecord, recordTrouble } from "../../model/record.ts";
import type { EndpointInfo } from "../../storage/endpoint.ts";
import { type OptionSpecs, parseOptions } from "../../storage/options.ts";
import { matches, type P2PQuery, type ParsedQuery, parseQuery, projectRecord } from "../../storage/query.ts";
import {
  CONTRACT_VERSION,
  type P2PCapabilities,
  type P2PDataTransferService,
  type P2PStarter,
  type ReadFailure,
  type ReadOptions,
  type RecordBatch,
} from "../../storage/service.ts";
import { type DeadLetter, MAX_LETTER_BYTES } from "./dead-letter.ts";

const options = {
  phase: {
    type: "string",
    values: ["write", "transform"],
    default: "write",
    description:
      "Which letters to read: those that the target refused, or those that the transform failed on (to be put through it again).",
  },
} as const satisfies OptionSpecs;

/**
 * Opens `dead-letters:<file>` endpoints, so that replaying is a transfer like any other: from the file to the target
 * that now takes the records. Every manager knows it without registration. It cannot be a target.
 *
 * A torn last line, left by a crash, is passed over; any other line that is no dead letter, or is longer than 256 MiB,
 * counts as a failure. No more than one line is held in memory.
 *
 * @example
 * ```ts
 * const replay = await manager.establish("dead-letters:./.omni-p2p/nightly.dead-letters.ndjson", "redis://localhost");
 * await manager.transferThroughConnection(replay.connectionId, {});
 * ```
 */
export const deadLetterStarter: P2PStarter = {
  storageType: "dead-letters",
  contractVersion: CONTRACT_VERSION,
  options,
  async open(endpoint, { role }) {
    const { phase } = parseOptions(options, endpoint);
    if (role === "target") {
      throw new P2PError(
        "INVALID_ENDPOINT",
        "A dead-letter file is not a target for a transfer; name it as deadLetters instead",
      );
    }
    const file = fileOf(endpoint);
    await assertFile(file);
    return serviceFor(file, phase);
  },
};

function fileOf(endpoint: EndpointInfo): string {
  if (endpoint.database) return resolve(endpoint.database);
  throw new P2PError("INVALID_ENDPOINT", "The file is missing; write dead-letters:./failed.ndjson");
}

async function assertFile(file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) throw new P2PError("SOURCE_NOT_FOUND", `There is no dead-letter file ${file}`);
}

const capabilities: P2PCapabilities = {
  resumable: true,
  countable: true,
  partitionable: false,
  writeConcurrency: 1,
  atomicBatches: true,
  shareable: true,
  lookUp: false,
  deletes: false,
  changes: false,
  valueTypes: {
    null: "native",
    boolean: "native",
    number: "tagged",
    bigint: "tagged",
    string: "native",
    date: "tagged",
    bytes: "tagged",
    array: "native",
    object: "native",
    tagged: "tagged",
  },
};

function serviceFor(file: string, phase: DeadLetter["phase"]): P2PDataTransferService {
  return {
    capabilities,
    readFromSource: (query, read) => readLetters(file, phase, query, read),
    writeToTarget: () => Promise.reject(new P2PError("TARGET_NOT_WRITABLE", `${file} can only be read`)),
    async count(query, signal) {
      let count = 0;
      for await (const { records, failures } of readLetters(file, phase, query, { batchSize: 1000, signal })) {
        count += records.length + (failures?.length ?? 0);
      }
      return count;
    },
    partitions: async (query) => [query],
    // Letters are appended and trimmed while they are read; the file tells nothing of what becomes of it.
    identity: async () => ({ volatile: true }),
    ping: () => assertFile(file),
    close: async () => {},
  };
}

async function* readLetters(
  file: string,
  phase: DeadLetter["phase"],
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const parsed = parseQuery(query);
  assertAnswerable(parsed);
  const after = placeAfter(options.after);
  let toSkip = after === undefined ? parsed.offset : 0;
  let left = parsed.limit;
  let batch: { records: P2PRecord[]; failures: ReadFailure[] } = { records: [], failures: [] };
  let cursor = after ?? 0;
  for await (const { text, end, last } of lines(file, cursor, options.signal)) {
    if (left <= 0) break;
    const read = readLine(text, end, phase);
    cursor = end;
    if (read === undefined || (last && isFailure(read))) continue;
    if (!isFailure(read) && !matches(parsed.conditions, read)) continue;
    if (toSkip > 0) {
      toSkip--;
      continue;
    }
    left--;
    if (isFailure(read)) batch.failures.push(read);
    else batch.records.push(projectRecord(read, parsed.fields));
    if (batch.records.length + batch.failures.length < options.batchSize) continue;
    yield { ...batch, cursor };
    batch = { records: [], failures: [] };
  }
  if (batch.records.length + batch.failures.length > 0) yield { ...batch, cursor };
}

/** A cursor is the number of bytes read. */
function placeAfter(cursor: JsonValue | undefined): number | undefined {
  if (cursor === undefined) return undefined;
  if (!Number.isSafeInteger(cursor) || (cursor as number) < 0) throw foreignCursor("dead-letters");
  return cursor as number;
}

function assertAnswerable({ orderBy, native }: ParsedQuery): void {
  const trouble = orderBy.length > 0 ? "orderBy" : Object.keys(native).length > 0 ? "native" : undefined;
  if (trouble)
    throw new P2PError("UNSUPPORTED_QUERY", `A dead-letter file cannot answer ${trouble}; it is read in its own order`);
}

/** The record in a line; a failure when there is none to be made out; nothing when the line is of another phase. */
function readLine(
  text: string | undefined,
  end: number,
  phase: DeadLetter["phase"],
): P2PRecord | ReadFailure | undefined {
  if (text === undefined) return unreadable(end, `it is longer than ${MAX_LETTER_BYTES} bytes`);
  try {
    const letter = parseJson(text) as { readonly phase?: unknown; readonly id?: unknown; readonly record?: JsonValue };
    if (letter.phase !== phase && typeof letter.phase === "string") return undefined;
    if (letter.record === undefined && letter.phase === phase && typeof letter.id === "string")
      return idAlone(letter.id);
    const record = letter.record === undefined ? undefined : fromJson(letter.record);
    const trouble = letter.phase === phase ? recordTrouble(record) : "it has no phase";
    if (trouble === undefined) return record as P2PRecord;
    return unreadable(end, trouble);
  } catch (cause) {
    // The error of JSON.parse quotes the text, which may hold anything.
    return unreadable(end, cause instanceof SyntaxError ? "it is not JSON" : (cause as Error).message);
  }
}

/** By its error: a record may have a field of that name. */
function isFailure(read: P2PRecord | ReadFailure): read is ReadFailure {
  return isP2PError((read as ReadFailure).error);
}

/** A letter of a mirror: what became of the record since, its source alone can tell. */
function idAlone(id: string): ReadFailure {
  const error = new P2PError(
    "READ_FAILED",
    `The letter of "${id.slice(0, 80)}" holds its id alone, as those of a mirror do: mirror once more to bring the record`,
  );
  return { id, error };
}

function unreadable(end: number, why: string): ReadFailure {
  return {
    id: `byte ${end}`,
    error: new P2PError("READ_FAILED", `The line that ends at byte ${end} is no dead letter: ${why}`),
  };
}

/** Bytes read from the file at a time. */
const CHUNK = 256 * 1024;

/** A line of a file. */
interface Line {
  /** Nothing when it is longer than a letter may be. */
  readonly text: string | undefined;
  /** The position after it. */
  readonly end: number;
  /** Whether it is the last one and has no end. */
  readonly last: boolean;
}

/** The lines of a file from a position on. Of a line that is too long nothing is kept. */
async function* lines(file: string, from: number, signal: AbortSignal): AsyncGenerator<Line> {
  let handle: FileHandle;
  try {
    handle = await open(file, "r");
  } catch (cause) {
    throw new P2PError("SOURCE_NOT_FOUND", `There is no dead-letter file ${file}`, { cause });
  }
  try {
    // What there is so far of a line, in pieces: to join them at each would take time by the square of its length.
    let pieces: Buffer[] = [];
    let length = 0;
    let position = from;
    const keep = (piece: Buffer) => {
      length += piece.length;
      if (length > MAX_LETTER_BYTES) pieces = [];
      else if (piece.length > 0) pieces.push(piece);
    };
    const take = (end: number, last: boolean): Line => {
      const text = length > MAX_LETTER_BYTES ? undefined : Buffer.concat(pieces).toString("utf8");
      pieces = [];
      length = 0;
      return { text, end, last };
    };
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(CHUNK), 0, CHUNK, position);
      if (bytesRead === 0) break;
      const chunk = buffer.subarray(0, bytesRead);
      let start = 0;
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, start)) {
        keep(chunk.subarray(start, at));
        start = at + 1;
        yield take(position + start, false);
      }
      keep(chunk.subarray(start));
      position += bytesRead;
    }
    if (length > 0) yield take(position, true);
  } finally {
    await handle.close();
  }
}
