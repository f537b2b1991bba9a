/**
 * COPY's binary format, for tables of ours: it spares both sides the texts of numbers and times, and all escapes. Source:
 * PostgreSQL's manual, "COPY", "Binary Format", and the `…_recv` functions of the types.
 */
import { encodeJson, type P2PId, type P2PRecord, type P2PValue } from "@omni/p2p-core/starter";
import type { Column, Table } from "../client/table.ts";
import { fitsJsonb } from "../values/json.ts";
import { isPlainId, type OwnIdType } from "../values/own-ids.ts";
import { ownIdType } from "../values/row-plan.ts";
import { SidecarWriter } from "../values/sidecar.ts";
import { holdsDate } from "../values/timestamps.ts";
import { visibleCell } from "../values/visible-value.ts";
import { SIDECAR_COLUMN, type WrittenColumn, writtenColumn } from "./row-shape.ts";

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");

/** Bytes of a chunk. */
const CHUNK = 512 * 1024;
/** Chunks that are kept to be used again: new ones make the engine collect garbage for the sake of their size. */
const MOST_KEPT = 16;

/** Buffers that nothing is sent from any more. */
const kept: Buffer[] = [];

function takeChunk(): Buffer {
  return kept.pop() ?? Buffer.allocUnsafeSlow(CHUNK);
}
/** Milliseconds from 1970 to 2000, from which PostgreSQL counts. */
const EPOCH_2000 = 946_684_800_000;
/** Milliseconds whose microseconds are still exact numbers. */
const EXACT_MS = 9_000_000_000_000;

/** The rows grow in chunks. */
class Output {
  readonly #chunks: Buffer[] = [];
  buffer = takeChunk();
  at = SIGNATURE.copy(this.buffer);

  /** Makes sure that so many bytes fit in one piece. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    this.#chunks.push(this.buffer.subarray(0, this.at));
    this.buffer = bytes > CHUNK ? Buffer.allocUnsafeSlow(bytes) : takeChunk();
    this.at = 0;
  }

  int16(value: number): void {
    this.buffer[this.at] = value >> 8;
    this.buffer[this.at + 1] = value;
    this.at += 2;
  }

  int32(value: number): void {
    this.buffer[this.at] = value >> 24;
    this.buffer[this.at + 1] = value >> 16;
    this.buffer[this.at + 2] = value >> 8;
    this.buffer[this.at + 3] = value;
    this.at += 4;
  }

  null(): void {
    this.reserve(4);
    this.int32(-1);
  }

  /** A text, with a number before it where the type has a version. */
  text(text: string, version?: number): void {
    // A character has at most three bytes for each of its units.
    this.reserve(8 + 3 * text.length);
    const start = this.at;
    this.at += 4;
    if (version !== undefined) this.buffer[this.at++] = version;
    this.at += this.buffer.write(text, this.at);
    const end = this.at;
    this.at = start;
    this.int32(end - start - 4);
    this.at = end;
  }

  float8(value: number): void {
    this.reserve(12);
    this.int32(8);
    this.at = this.buffer.writeDoubleBE(value, this.at);
  }

  bool(value: boolean): void {
    this.reserve(5);
    this.int32(1);
    this.buffer[this.at++] = value ? 1 : 0;
  }

  int8(value: bigint): void {
    this.reserve(12);
    this.int32(8);
    this.at = this.buffer.writeBigInt64BE(value, this.at);
  }

  timestamp(ms: number): void {
    const since = ms - EPOCH_2000;
    if (Math.abs(since) > EXACT_MS) {
      this.int8(BigInt(since) * 1000n);
      return;
    }
    this.reserve(12);
    this.int32(8);
    const micros = since * 1000;
    const high = Math.floor(micros / 4_294_967_296);
    this.int32(high);
    this.int32(micros - high * 4_294_967_296);
  }

  bytes(value: Uint8Array): void {
    this.reserve(4 + value.length);
    this.int32(value.length);
    this.buffer.set(value, this.at);
    this.at += value.length;
  }

  /** A whole `numeric`: digits in base 10,000. */
  whole(value: bigint): void {
    const text = (value < 0n ? -value : value).toString();
    const padded = text.padStart(Math.ceil(text.length / 4) * 4, "0");
    const digits: number[] = [];
    for (let at = 0; at < padded.length; at += 4) digits.push(Number(padded.slice(at, at + 4)));
    const weight = digits.length - 1;
    while (digits.at(-1) === 0) digits.pop();
    this.reserve(12 + 2 * digits.length);
    this.int32(8 + 2 * digits.length);
    this.int16(digits.length);
    this.int16(digits.length === 0 ? 0 : weight);
    this.int16(value < 0n ? 0x4000 : 0);
    this.int16(0);
    for (const digit of digits) this.int16(digit);
  }

  finish(): readonly Buffer[] {
    this.reserve(2);
    this.int16(-1);
    this.#chunks.push(this.buffer.subarray(0, this.at));
    return this.#chunks;
  }

  /** Gives the chunks back, which must not be sent any more. */
  release(): void {
    for (const { buffer } of this.#chunks.splice(0)) {
      if (buffer.byteLength === CHUNK && kept.length < MOST_KEPT) kept.push(Buffer.from(buffer));
    }
  }
}

/** Writes what a column can say fully. @returns whether it can. */
type Put = (output: Output, value: Exclude<P2PValue, null>) => boolean;

/** By `pg_type.typname`. The same values as `storeOwn` has cells for. */
const PUTS: Readonly<Record<string, Put>> = {
  bool(output, value) {
    if (typeof value !== "boolean") return false;
    output.bool(value);
    return true;
  },
  float8(output, value) {
    if (typeof value !== "number") return false;
    output.float8(value);
    return true;
  },
  text(output, value) {
    if (typeof value !== "string" || value.includes("\0")) return false;
    output.text(value);
    return true;
  },
  timestamptz(output, value) {
    if (!(value instanceof Date) || !holdsDate(value)) return false;
    output.timestamp(value.getTime());
    return true;
  },
  bytea(output, value) {
    if (!(value instanceof Uint8Array)) return false;
    output.bytes(value);
    return true;
  },
  jsonb(output, value) {
    if (!fitsJsonb(value)) return false;
    output.text(encodeJson(value), 1);
    return true;
  },
  numeric(output, value) {
    if (typeof value !== "bigint") return false;
    output.whole(value);
    return true;
  },
};

/** What has no form here is written as text, by whoever asked. */
const NO_FORM = Symbol("no form");

interface Place {
  readonly field: string;
  readonly type: string;
  readonly put: Put;
  readonly optional: boolean;
  /** Every object inherits something by this name. */
  readonly inherited: boolean;
}

/** Makes rows of a table of ours. */
export class BinaryRows {
  readonly columns: readonly WrittenColumn[];
  /** Fields that came and have no column. */
  readonly unhoused = new Set<string>();
  readonly #idType: OwnIdType;
  readonly #places: readonly Place[];
  readonly #housed: ReadonlySet<string>;
  readonly #sidecar = new SidecarWriter();
  readonly #output = new Output();

  private constructor(table: Table, others: readonly Column[]) {
    this.#idType = ownIdType(table);
    this.#places = others.map(({ field, type, optional }) => ({
      ...{ field, optional, type: type.name, put: PUTS[type.name]!, inherited: field in Object.prototype },
    }));
    this.#housed = new Set(table.columns.map(({ field }) => field));
    const id = table.key.columns[0]!.column;
    this.columns = [writtenColumn(id, true), ...others.map((column) => writtenColumn(column, false)), SIDECAR_COLUMN];
  }

  /** @returns `undefined` where the table has columns of other types than those that have a form here. */
  static for(table: Table): BinaryRows | undefined {
    const id = table.key.columns[0]!.column;
    const others = table.columns.filter((column) => column !== id && !column.generated);
    const known = others.every(({ type }) => type.schema === "pg_catalog" && Object.hasOwn(PUTS, type.name));
    return known ? new BinaryRows(table, others) : undefined;
  }

  /**
   * Adds a record.
   *
   * @param stored what the column `id` holds for it.
   * @returns whether it has a form here; if not, nothing of what was made is of use.
   */
  add(record: P2PRecord, stored: string): boolean {
    try {
      this.#add(record, stored);
      return true;
    } catch (error) {
      // A text may be longer than what a buffer can have.
      if (error === NO_FORM || error instanceof RangeError) return false;
      throw error;
    }
  }

  /** The chunks of the format. */
  finish(): readonly Buffer[] {
    return this.#output.finish();
  }

  /** Must be called when the server has taken all chunks, and not before. */
  release(): void {
    this.#output.release();
  }

  #add(record: P2PRecord, stored: string): void {
    const places = this.#places;
    const output = this.#output;
    const sidecar = this.#sidecar;
    sidecar.reset();
    output.reserve(2);
    output.int16(places.length + 2);
    this.#id(record.id, stored);
    let housed = 1;
    for (let at = 0; at < places.length; at++) {
      const { field, type, put, optional, inherited } = places[at]!;
      const value = inherited && !Object.hasOwn(record, field) ? undefined : record[field];
      if (value === undefined) {
        if (!optional) sidecar.addAbsent(field);
        output.null();
        continue;
      }
      housed++;
      if (value === null) {
        if (optional) sidecar.set(field, null);
        output.null();
      } else if (!put(output, value)) {
        sidecar.set(field, value);
        putVisible(output, type, value);
      }
    }
    const fields = Object.keys(record);
    if (fields.length !== housed) this.#noteUnhoused(record, fields);
    const text = sidecar.text();
    if (text === null) output.null();
    else output.text(text);
  }

  #noteUnhoused(record: P2PRecord, fields: readonly string[]): void {
    for (const field of fields) {
      const value = record[field];
      if (value === undefined || this.#housed.has(field)) continue;
      this.#sidecar.set(field, value);
      this.unhoused.add(field);
    }
  }

  #id(id: P2PId, stored: string): void {
    if (!isPlainId(this.#idType, id)) this.#sidecar.set("id", id);
    if (this.#idType === "text") this.#output.text(stored);
    else this.#output.int8(BigInt(stored));
  }
}

/** What others see in the cell of a value that the sidecar holds. */
function putVisible(output: Output, type: string, value: P2PValue): void {
  const cell = visibleCell(type, value);
  if (cell === null) {
    output.null();
  } else if (type === "text") {
    output.text(cell);
  } else if (type === "jsonb") {
    output.text(cell, 1);
  } else if (type === "float8") {
    output.float8(Number(cell));
  } else if (type === "numeric" && /^-?\d+$/.test(cell)) {
    output.whole(BigInt(cell));
  } else {
    throw NO_FORM;
  }
}
