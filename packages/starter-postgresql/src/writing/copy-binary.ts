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
import { type WritePlain, writerOfPlain } from "./binary-code.ts";
import {
  BinaryOutput,
  CELL_BYTES,
  digitsOf,
  putBool,
  putBytes,
  putFloat8,
  putInt8,
  putJson,
  putNull,
  putText,
  putTimestamp,
  putWhole,
  UNIT_BYTES,
} from "./binary-output.ts";
import { SIDECAR_COLUMN, type WrittenColumn, writtenColumn } from "./row-shape.ts";

/** Writes one cell, for which there is room. */
function put<Value>(
  output: BinaryOutput,
  how: (room: BinaryOutput, at: number, value: Value) => number,
  value: Value,
  bytes = 0,
): void {
  output.reserve(CELL_BYTES + bytes);
  output.at = how(output, output.at, value);
}

/** @returns whether it has no U+0000. */
function putTextCell(output: BinaryOutput, text: string): boolean {
  output.reserve(CELL_BYTES + UNIT_BYTES * text.length);
  const end = putText(output, output.at, text);
  if (end < 0) return false;
  output.at = end;
  return true;
}

function putJsonCell(output: BinaryOutput, text: string): void {
  put(output, putJson, text, UNIT_BYTES * text.length);
}

function putWholeCell(output: BinaryOutput, value: bigint): void {
  const digits = digitsOf(value);
  put(output, (room, at, whole: bigint) => putWhole(room, at, whole, digits), value, 2 * digits.length);
}

function putNullCell(output: BinaryOutput): void {
  output.reserve(CELL_BYTES);
  output.at = putNull(output, output.at);
}

/** Writes what a column can say fully. @returns whether it can. */
type Put = (output: BinaryOutput, value: Exclude<P2PValue, null>) => boolean;

/** By `pg_type.typname`. The same values as `storeOwn` has cells for. */
const PUTS: Readonly<Record<string, Put>> = {
  bool(output, value) {
    if (typeof value !== "boolean") return false;
    put(output, putBool, value);
    return true;
  },
  float8(output, value) {
    if (typeof value !== "number") return false;
    put(output, putFloat8, value);
    return true;
  },
  text(output, value) {
    return typeof value === "string" && putTextCell(output, value);
  },
  timestamptz(output, value) {
    if (!(value instanceof Date) || !holdsDate(value)) return false;
    put(output, putTimestamp, value.getTime());
    return true;
  },
  bytea(output, value) {
    if (!(value instanceof Uint8Array)) return false;
    put(output, putBytes, value, value.length);
    return true;
  },
  jsonb(output, value) {
    if (!fitsJsonb(value)) return false;
    putJsonCell(output, encodeJson(value));
    return true;
  },
  numeric(output, value) {
    if (typeof value !== "bigint") return false;
    putWholeCell(output, value);
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

/** What is known of a table for all batches. */
interface Form {
  readonly idType: OwnIdType;
  readonly places: readonly Place[];
  /** Fields that have a column, those that the server computes among them. */
  readonly housed: ReadonlySet<string>;
  readonly columns: readonly WrittenColumn[];
  readonly writePlain: WritePlain | undefined;
}

const forms = new WeakMap<Table, Form | undefined>();

/** @returns `undefined` where the table has columns of other types than those that have a form here. */
function formOf(table: Table): Form | undefined {
  if (forms.has(table)) return forms.get(table);
  const form = newForm(table);
  forms.set(table, form);
  return form;
}

function newForm(table: Table): Form | undefined {
  const id = table.key.columns[0]!.column;
  const others = table.columns.filter((column) => column !== id && !column.generated);
  const known = others.every(({ type }) => type.schema === "pg_catalog" && Object.hasOwn(PUTS, type.name));
  if (!known) return undefined;
  const idType = ownIdType(table);
  const places = others.map(placeOf);
  return {
    idType,
    places,
    housed: new Set(table.columns.map(({ field }) => field)),
    columns: [writtenColumn(id, true), ...others.map((column) => writtenColumn(column, false)), SIDECAR_COLUMN],
    writePlain: writerOfPlain(idType, places),
  };
}

function placeOf({ field, type, optional }: Column): Place {
  return { field, optional, type: type.name, put: PUTS[type.name]!, inherited: field in Object.prototype };
}

/** Makes rows of a table of ours. */
export class BinaryRows {
  readonly columns: readonly WrittenColumn[];
  /** Fields that came and have no column. */
  readonly unhoused = new Set<string>();
  readonly #form: Form;
  readonly #sidecar = new SidecarWriter();
  readonly #output = new BinaryOutput();

  private constructor(form: Form) {
    this.#form = form;
    this.columns = form.columns;
  }

  /** @returns `undefined` where the table has columns of other types than those that have a form here. */
  static for(table: Table): BinaryRows | undefined {
    const form = formOf(table);
    return form && new BinaryRows(form);
  }

  /**
   * Adds a record.
   *
   * @param stored what the column `id` holds for it.
   * @returns whether it has a form here; if not, nothing of what was made is of use.
   */
  add(record: P2PRecord, stored: string): boolean {
    try {
      // Nearly all are plain.
      if (this.#form.writePlain?.(this.#output, record, stored) !== true) this.#add(record, stored);
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
    const { places } = this.#form;
    const output = this.#output;
    const sidecar = this.#sidecar;
    sidecar.reset();
    output.reserve(2);
    output.view.setInt16(output.at, places.length + 2);
    output.at += 2;
    this.#id(record.id, stored);
    let housed = 1;
    for (let at = 0; at < places.length; at++) {
      const { field, type, put: putValue, optional, inherited } = places[at]!;
      const value = inherited && !Object.hasOwn(record, field) ? undefined : record[field];
      if (value === undefined) {
        if (!optional) sidecar.addAbsent(field);
        putNullCell(output);
        continue;
      }
      housed++;
      if (value === null) {
        if (optional) sidecar.set(field, null);
        putNullCell(output);
      } else if (!putValue(output, value)) {
        sidecar.set(field, value);
        putVisible(output, type, value);
      }
    }
    const fields = Object.keys(record);
    if (fields.length !== housed) this.#noteUnhoused(record, fields);
    const text = sidecar.text();
    if (text === null) putNullCell(output);
    else if (!putTextCell(output, text)) throw NO_FORM;
  }

  #noteUnhoused(record: P2PRecord, fields: readonly string[]): void {
    for (const field of fields) {
      const value = record[field];
      if (value === undefined || this.#form.housed.has(field)) continue;
      this.#sidecar.set(field, value);
      this.unhoused.add(field);
    }
  }

  #id(id: P2PId, stored: string): void {
    const { idType } = this.#form;
    if (!isPlainId(idType, id)) this.#sidecar.set("id", id);
    if (idType === "bigint") put(this.#output, putInt8, BigInt(stored));
    else if (!putTextCell(this.#output, stored)) throw NO_FORM;
  }
}

/** What others see in the cell of a value that the sidecar holds. */
function putVisible(output: BinaryOutput, type: string, value: P2PValue): void {
  const cell = visibleCell(type, value);
  if (cell === null) {
    putNullCell(output);
  } else if (type === "text" && putTextCell(output, cell)) {
    return;
  } else if (type === "jsonb") {
    putJsonCell(output, cell);
  } else if (type === "float8") {
    put(output, putFloat8, Number(cell));
  } else if (type === "numeric" && /^-?\d+$/.test(cell)) {
    putWholeCell(output, BigInt(cell));
  } else {
    throw NO_FORM;
  }
}
